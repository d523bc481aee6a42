"""Dagster's webserver and daemon for one home."""

import os
import sys
import time
from pathlib import Path

import httpx

from feed_platform.feed import FeedError
from feed_platform.home import prepare_home, shell_environment
from feed_platform.processes import end, launch, recall
from feed_platform.settings import Settings

READY_SECONDS = 180


def run_ui(settings: Settings, port: int) -> None:
    """Start the UI, say where it is, stay until it ends or Ctrl-C.

    Raises:
        FeedError: it ended at once or never answered; names its log.
    """
    prepare_home(settings)
    remember, log = _files(settings)
    if recall(remember) is not None:
        raise FeedError("the UI of this home already runs: make stop ends it")
    dagster = str(Path(sys.executable).parent / "dagster")
    command = [dagster, "dev", "-h", "127.0.0.1", "-p", str(port), "-m", "feed_platform.definitions"]
    launch(command, remember, log, {**os.environ, **shell_environment(settings)})
    try:
        _wait_until_ready(port, remember, log)
        sys.stderr.write(f"Dagster: http://127.0.0.1:{port} (Ctrl-C or make stop ends it; log: {log})\n")
        while recall(remember) is not None:
            time.sleep(1)
    except KeyboardInterrupt:
        sys.stderr.write("stopping the UI\n")
    finally:
        end(remember)


def stop_ui(settings: Settings) -> None:
    """End this home's UI, if it runs."""
    if end(_files(settings)[0]):
        sys.stderr.write("stopped the Dagster UI\n")


def _files(settings: Settings) -> tuple[Path, Path]:
    return settings.dagster_home / "ui.json", settings.dagster_home / "ui.log"


def _wait_until_ready(port: int, remember: Path, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if recall(remember) is None:
            raise FeedError(f"Dagster ended at once, see {log} (is port {port} in use? feed ui --port N)")
        try:
            if httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=2).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise FeedError(f"Dagster did not answer on port {port} within {READY_SECONDS} s, see {log}")
