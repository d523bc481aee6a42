"""A feed's home: its folders, its Dagster instance, its block of ports."""

import json
import socket
from pathlib import Path

from feed_platform.environment import NO_PICKLE, TELEMETRY_OFF
from feed_platform.feed import FeedError, write_atomically
from feed_platform.lake.connection import Lake, explore_script
from feed_platform.settings import Settings

DEFAULT_PORT = 8000
PORT_BLOCK = 100

DAGSTER_YAML = """\
telemetry:
  enabled: false
nux:
  enabled: false
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config:
    max_concurrent_runs: 1
"""


def prepare_home(settings: Settings) -> None:
    """Create what a home needs and lacks; safe to call again."""
    for folder in (
        settings.root,
        settings.dagster_home,
        settings.artifacts,
        settings.logs,
        settings.online,
        settings.models,
        settings.serving,
        settings.reports,
    ):
        folder.mkdir(parents=True, exist_ok=True)
    write_if_changed(settings.dagster_home / "dagster.yaml", DAGSTER_YAML)
    lake = Lake.of(settings)
    if not lake.exists():
        with lake.write("create the lake"):
            pass
    write_if_changed(settings.root / "explore.sql", explore_script(lake))


def write_if_changed(path: Path, text: str) -> None:
    """Write a generated file unless it already says so."""
    if not path.exists() or path.read_text() != text:
        write_atomically(path, text)


def shell_environment(settings: Settings) -> dict[str, str]:
    """What a shell needs to use `dagster` and `mlflow` on this home."""
    return {
        "FEED_HOME": str(settings.root),
        "DAGSTER_HOME": str(settings.dagster_home),
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        **TELEMETRY_OFF,
        **NO_PICKLE,
    }


def port_base(settings: Settings) -> int:
    """The first of the home's 100 ports: the setting, else the one that the home remembers, else 8000."""
    remembered = settings.root / "port.json"
    if settings.http_port is not None:
        return settings.http_port
    return int(json.loads(remembered.read_text())["base"]) if remembered.exists() else DEFAULT_PORT


def claim_ports(settings: Settings, offsets: tuple[int, ...]) -> int:
    """Check that the home's ports are free and remember their base.

    Raises:
        FeedError: one is busy; names it and the setting that moves the block.
    """
    base = port_base(settings)
    busy = [base + offset for offset in offsets if not _is_free(base + offset)]
    if busy:
        raise FeedError(
            f"port {busy[0]} is in use by another program: set FEED_HTTP_PORT to the base "
            f"of {PORT_BLOCK} free ports"
        )
    settings.root.mkdir(parents=True, exist_ok=True)
    write_atomically(settings.root / "port.json", json.dumps({"base": base}))
    return base


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
