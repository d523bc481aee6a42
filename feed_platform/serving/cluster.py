"""One Ray head per home, beside Dagster: started, found again, stopped, nothing of it left behind."""

import json
import logging
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from feed_platform import processes
from feed_platform.feed import FeedError, write_atomically
from feed_platform.home import claim_ports
from feed_platform.processes import Process
from feed_platform.serving import head, ports
from feed_platform.serving.ports import Port
from feed_platform.serving.rest import ServeApi
from feed_platform.settings import Settings

START_SECONDS = 180.0
STOP_SECONDS = 20.0
DRAIN_SECONDS = 10.0
LEFTOVER_SECONDS = 3.0
SOCKET_FOLDER_LENGTH = 32  # HAProxy takes socket paths of 97 characters; a node id and a name take 64
LOG_TAIL = 2_000

Progress = Callable[[str], None]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cluster:
    """A head that was started for a home; `cluster.json` remembers it."""

    head: Process
    folder: Path
    base: int
    host: str
    ingress: str

    @classmethod
    def remembered(cls, settings: Settings) -> "Cluster | None":
        """The last head started for this home, alive or not."""
        path = _state_path(settings)
        if not path.exists():
            return None
        state = json.loads(path.read_text())
        return cls(**{**state, "head": Process(**state["head"]), "folder": Path(state["folder"])})

    @classmethod
    def running(cls, settings: Settings) -> "Cluster | None":
        """The home's head, if it is alive."""
        cluster = cls.remembered(settings)
        return cluster if cluster and cluster.head.is_alive else None

    @property
    def url(self) -> str:
        """Where the API answers on this machine."""
        return f"http://127.0.0.1:{self.base + Port.HTTP}"

    def processes(self) -> list[Process]:
        """What runs of this cluster, the head included."""
        return processes.of_session(self.head.pid, self.folder.resolve())


def start(settings: Settings, progress: Progress = log.info) -> Cluster:
    """Bring the home's head up and wait until its API answers; a no-op when it runs.

    Raises:
        FeedError: a port is busy, other settings than the running head's, or the head fails to start.
    """
    with _lock(settings):
        running = Cluster.running(settings)
        if running:
            return _unchanged(running, settings)
        _clear(settings)
        base = claim_ports(settings, ports.FIXED)
        cluster = _launch(settings, base, progress)
        _await_api(settings, cluster, progress)
        return cluster


def stop(settings: Settings, progress: Progress = log.info) -> bool:
    """End the home's head and all that it started, and nothing else; whether one ran."""
    with _lock(settings):
        running = Cluster.running(settings)
        if running:
            progress(f"stopping the ranking service (pid {running.head.pid})")
            api(settings, running).drain(DRAIN_SECONDS)
            processes.end([running.head], STOP_SECONDS)
        _clear(settings)
        return running is not None


def api(settings: Settings, cluster: Cluster) -> ServeApi:
    """Serve's REST API of a running head."""
    return ServeApi(f"http://127.0.0.1:{cluster.base + Port.DASHBOARD}", token_path(settings).read_text())


def token_path(settings: Settings) -> Path:
    """The file with the token of the home's Ray cluster, made once, readable by its owner alone."""
    path = settings.serving / "ray.token"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkstemp(dir=path.parent)[1])  # mkstemp makes it 0600
        draft.write_text(secrets.token_hex(32))
        draft.rename(path)
    return path


def _launch(settings: Settings, base: int, progress: Progress) -> Cluster:
    folder = _short_folder(settings)
    wrapper = head.write_wrapper(folder, base, settings.http_host)
    progress(f"starting Ray on 127.0.0.1:{base}-{base + 99}")
    with _log_path(settings).open("wb") as output:
        process = subprocess.Popen(
            head.command(base, folder),
            env=head.environment(base, folder, wrapper, token_path(settings), settings.ingress),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    found = Process.find(process.pid)
    if found is None:
        raise FeedError(f"Ray did not start: {_log_tail(settings)}")
    cluster = Cluster(found, folder, base, settings.http_host, settings.ingress)
    write_atomically(_state_path(settings), json.dumps(asdict(cluster), default=str))
    return cluster


def _await_api(settings: Settings, cluster: Cluster, progress: Progress) -> None:
    began = time.monotonic()
    while api(settings, cluster).details() is None:
        if not cluster.head.is_alive or time.monotonic() > began + START_SECONDS:
            processes.end([cluster.head], STOP_SECONDS)
            _clear(settings)
            raise FeedError(f"Ray did not come up; the end of {_log_path(settings)}: {_log_tail(settings)}")
        time.sleep(0.25)
    progress(f"Ray is up after {time.monotonic() - began:.0f} s")


def _clear(settings: Settings) -> None:
    """End what a dead head left running and remove its files."""
    cluster = Cluster.remembered(settings)
    if cluster is None:
        return
    processes.end(cluster.processes(), LEFTOVER_SECONDS)
    shutil.rmtree(cluster.folder, ignore_errors=True)
    _state_path(settings).unlink(missing_ok=True)


def _unchanged(running: Cluster, settings: Settings) -> Cluster:
    wanted = (settings.http_port or running.base, settings.http_host, settings.ingress)
    if wanted != (running.base, running.host, running.ingress):
        raise FeedError(
            f"the service runs on {running.host}:{running.base} ({running.ingress}); "
            "run `feed serve stop` before changing FEED_HTTP_HOST, FEED_HTTP_PORT or FEED_INGRESS"
        )
    return running


def _short_folder(settings: Settings) -> Path:
    """A fresh private folder whose path leaves room for socket names: in the home where that is short."""
    inside = settings.serving / "ray"
    if len(str(inside)) <= SOCKET_FOLDER_LENGTH:
        shutil.rmtree(inside, ignore_errors=True)
        inside.mkdir(mode=0o700, parents=True)
        return inside
    parent = min(tempfile.gettempdir(), "/tmp", key=len)
    return Path(tempfile.mkdtemp(prefix="feed-", dir=parent))


def _lock(settings: Settings) -> FileLock:
    settings.serving.mkdir(parents=True, exist_ok=True)
    return FileLock(settings.serving / "cluster.lock")


def _state_path(settings: Settings) -> Path:
    return settings.serving / "cluster.json"


def _log_path(settings: Settings) -> Path:
    return settings.serving / "head.log"


def _log_tail(settings: Settings) -> str:
    return _log_path(settings).read_text(errors="replace")[-LOG_TAIL:].strip()
