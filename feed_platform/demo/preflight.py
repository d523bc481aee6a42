"""What the demo needs of the machine, checked before any work."""

import shutil
from pathlib import Path

import psutil

from feed_platform.feed import FeedError

DISK_GB = 2.0
MEMORY_GB = 3.0
GB = 1024**3


def check_machine(folder: Path) -> str:
    """Say what there is, in one line.

    Raises:
        FeedError: too little free disk or memory; names how much there is and how much it takes.
    """
    disk = shutil.disk_usage(_existing(folder)).free / GB
    memory = psutil.virtual_memory().available / GB
    if disk < DISK_GB:
        raise FeedError(
            f"{disk:.1f} GB free for {folder}, the demo needs {DISK_GB:.0f}: free some, or set FEED_HOME"
        )
    if memory < MEMORY_GB:
        raise FeedError(
            f"{memory:.1f} GB of memory available, the demo needs {MEMORY_GB:.0f}: end other programs"
        )
    return f"{disk:.0f} GB of disk and {memory:.0f} GB of memory free"


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)
