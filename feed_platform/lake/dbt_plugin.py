"""dbt-duckdb's door to the lake: extensions by path, the one writer lock, no orphaned dbt.

`profiles.yml` names this module; dbt-duckdb calls `configure_connection` before it attaches the lake.
"""

import os
import threading
import time
from pathlib import Path

from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection
from filelock import FileLock

from feed_platform.feed import FeedError
from feed_platform.lake.connection import EXTENSIONS, extension_path
from feed_platform.lake.lock import acquire_writer_lock

POLL_SECONDS = 0.5


class Plugin(BasePlugin):
    """Prepares dbt's connection; holds the writer lock for as long as dbt's environment lives."""

    lock: FileLock | None = None

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Load the extensions and become the lake's writer.

        Raises:
            FeedError: the environment names no lake.
        """
        if not os.environ.get("FEED_LAKE_ADDRESS"):
            raise FeedError('dbt knows no lake: run eval "$(feed env)" first, it sets FEED_LAKE_ADDRESS')
        die_with_parent(os.environ.get("FEED_DBT_PARENT_PID"))
        for name in EXTENSIONS:
            conn.load_extension(str(extension_path(name)))
        lock_path = os.environ.get("FEED_LAKE_LOCK")
        self.lock = acquire_writer_lock(Path(lock_path)) if lock_path else None


def die_with_parent(parent_pid: str | None) -> None:
    """End this process soon after the parent that started it; no parent named, no watch."""
    if parent_pid:
        threading.Thread(target=_watch, args=(int(parent_pid),), daemon=True).start()


def _watch(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(POLL_SECONDS)
    os._exit(1)
