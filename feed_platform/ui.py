"""Dagster's webserver and daemon for one home."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import httpx

from feed_platform.feed import FeedError, write_atomically
from feed_platform.home import prepare_home, shell_environment
from feed_platform.processes import Process, end, of_session
from feed_platform.settings import Settings

READY_SECONDS = 180
PATIENCE_SECONDS = 15


def run_ui(settings: Settings, port: int) -> None:
    """Start the UI, say where it is, stay until it ends or Ctrl-C.

    Raises:
        FeedError: it ended at once or never answered; names its log.
    """
    prepare_home(settings)
    if _running(settings):
        raise FeedError("the UI of this home already runs: make stop ends it")
    log = settings.dagster_home / "ui.log"
    leader = _launch(settings, port, log)
    try:
        _await_ready(leader, port, log)
        sys.stderr.write(f"Dagster: http://127.0.0.1:{port} (Ctrl-C or make stop ends it; log: {log})\n")
        while leader.is_alive:
            time.sleep(1)
    except KeyboardInterrupt:
        sys.stderr.write("stopping the UI\n")
    finally:
        stop_ui(settings)


def stop_ui(settings: Settings) -> None:
    """End this home's UI, if it runs."""
    leader = _running(settings)
    if leader is not None:
        end([leader], PATIENCE_SECONDS)
        end(of_session(leader.pid, settings.dagster_home), PATIENCE_SECONDS)
        sys.stderr.write("stopped the Dagster UI\n")
    _pid_file(settings).unlink(missing_ok=True)


def _launch(settings: Settings, port: int, log: Path) -> Process:
    command = [str(Path(sys.executable).parent / "dagster"), "dev", "-h", "127.0.0.1", "-p", str(port)]
    with log.open("ab") as out:
        child = subprocess.Popen(
            [*command, "-m", "feed_platform.definitions"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=settings.dagster_home,
            env={**os.environ, **shell_environment(settings)},
            start_new_session=True,
        )
    leader = Process.find(child.pid)
    if leader is None:
        raise FeedError(f"Dagster ended at once, see {log}")
    write_atomically(_pid_file(settings), json.dumps(asdict(leader)))
    return leader


def _await_ready(leader: Process, port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if not leader.is_alive:
            raise FeedError(f"Dagster ended at once, see {log} (is port {port} in use? feed ui --port N)")
        try:
            if httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=2, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise FeedError(f"Dagster did not answer on port {port} within {READY_SECONDS} s, see {log}")


def _running(settings: Settings) -> Process | None:
    path = _pid_file(settings)
    process = Process(**json.loads(path.read_text())) if path.exists() else None
    return process if process is not None and process.is_alive else None


def _pid_file(settings: Settings) -> Path:
    return settings.dagster_home / "ui.json"
