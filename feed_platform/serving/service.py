"""The ranking service of a home as people know it: start, stop, status."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from feed_platform.feed import FeedError, load_feed
from feed_platform.home import claim_ports, port_base
from feed_platform.serving import cluster, pointer, ports, replica_settings
from feed_platform.serving.cluster import Cluster, Progress
from feed_platform.serving.head import RAY_FOLDER
from feed_platform.serving.ports import Port
from feed_platform.serving.replica_settings import DEPLOYMENT
from feed_platform.serving.tokens import own_secret
from feed_platform.settings import Settings

APPLICATION = "feed"
DEPLOY_SECONDS = 240.0
REQUEST_SECONDS = 30.0
POLL_SECONDS = 0.2
PROXY_TRIES = 20
LOGGING = {"enable_access_log": False, "log_level": "WARNING"}  # each line costs every request its writing
FAILED = ("DEPLOY_FAILED", "UNHEALTHY")

log = logging.getLogger(__name__)


def start(settings: Settings, progress: Progress = log.info) -> Cluster:
    """Bring the service up with the last deployed model; what runs already stays as it is.

    Raises:
        FeedError: a port is busy, there is no feed yet, Ray or the application does not come up.
    """
    load_feed(settings)
    running = cluster.start(settings, progress)
    began = time.monotonic()
    _apply(settings, running)
    await_until(lambda: _is_up(settings, running), DEPLOY_SECONDS, lambda: failure(settings, running))
    progress(f"the service answers at {running.url} after {time.monotonic() - began:.0f} s")
    return running


def stop(settings: Settings) -> None:
    """Stop this home's service and nothing else."""
    cluster.stop(settings)


def status(settings: Settings) -> dict[str, Any]:
    """What runs, where, and with which versions."""
    deployed = pointer.read(settings)
    running = Cluster.running(settings)
    facts: dict[str, Any] = {
        "running": running is not None,
        "deployed_version": deployed.current.version if deployed else None,
    }
    if running is None:
        return facts
    return facts | {
        "url": running.url,
        "docs": f"{running.url}/docs",
        "ingress": running.ingress,
        "pid": running.head.pid,
        "processes": len(running.processes()),
        "application": _application(settings, running).get("status"),
        "replicas": replicas(settings, running),
        "logs": str(running.folder / RAY_FOLDER / "session_latest" / "logs"),
    }


def check_ports(settings: Settings) -> None:
    """Refuse to begin where another program holds one of the home's ports.

    Raises:
        FeedError: names the port.
    """
    if Cluster.running(settings) is None:
        claim_ports(settings, ports.FIXED)


def log_tails(settings: Settings, lines: int) -> Iterator[tuple[Path, str]]:
    """The last lines of the head's log and of each replica's, the newest files last."""
    found = [settings.serving / "head.log"]
    cluster_known = Cluster.remembered(settings)
    if cluster_known:
        folder = cluster_known.folder / RAY_FOLDER / "session_latest" / "logs" / "serve"
        found += sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)
    for path in found:
        if path.exists():
            yield path, "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def connect(settings: Settings) -> httpx.Client:
    """A client of the home's service, with its token where one is set."""
    secret = own_secret(settings)
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    url = f"http://127.0.0.1:{port_base(settings) + Port.HTTP}"
    return httpx.Client(base_url=url, headers=headers, timeout=REQUEST_SECONDS, trust_env=False)


def replicas(settings: Settings, running: Cluster) -> list[dict[str, Any]]:
    """The readiness of every replica that Serve runs; only its `pid` where it doesn't answer."""
    states = _application(settings, running).get("deployments", {}).get(DEPLOYMENT, {}).get("replicas", ())
    pids = [state["pid"] for state in states if state["state"] == "RUNNING"]
    answers = {answer.get("pid"): answer for answer in map(_readiness, _replica_ports(running))}
    return [answers.get(pid, {"pid": pid}) for pid in pids]


def await_until(is_done: Callable[[], bool], seconds: float, reason: Callable[[], str | None]) -> None:
    """Poll until something is done.

    Raises:
        FeedError: `reason` says what went wrong, or the time is over.
    """
    deadline = time.monotonic() + seconds
    while not is_done():
        if (found := reason()) or time.monotonic() > deadline:
            raise FeedError(found or f"the ranking service was not ready after {seconds:.0f} s")
        time.sleep(POLL_SECONDS)


def _apply(settings: Settings, running: Cluster) -> None:
    """Hand Serve the config, unless it has this very one and is well."""
    config = _config(settings, running)
    known = _application(settings, running)
    unchanged = known.get("deployed_app_config") == config["applications"][0]
    if not (unchanged and known.get("status") in ("RUNNING", "DEPLOYING")):
        cluster.api(settings, running).deploy(config)


def _config(settings: Settings, running: Cluster) -> dict[str, Any]:
    behind_haproxy = running.ingress == "haproxy"
    revision = replica_settings.save(settings)
    application = {
        "name": APPLICATION,
        "route_prefix": "/",
        "import_path": "feed_platform.serving.replica:build",
        "args": {"home": str(settings.root), "replicas": settings.replicas, "revision": revision},
        "logging_config": LOGGING,
    }
    return {
        "proxy_location": "HeadOnly",
        "http_options": {
            "host": "127.0.0.1" if behind_haproxy else running.host,
            "port": running.base + Port.HTTP,
            "keep_alive_timeout_s": 90,
        },
        "logging_config": LOGGING,
        "applications": [application],
    }


def _is_up(settings: Settings, running: Cluster) -> bool:
    """Whether Serve says so, and the API answers at its public port."""
    if _application(settings, running).get("status") != "RUNNING":
        return False
    try:
        return httpx.get(f"{running.url}/healthz", timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _application(settings: Settings, running: Cluster) -> dict[str, Any]:
    details = cluster.api(settings, running).details() or {}
    return dict(details.get("applications", {}).get(APPLICATION, {}))


def failure(settings: Settings, running: Cluster) -> str | None:
    """Why the service can't come up; `None` while it still may."""
    if not running.head.is_alive:
        return f"Ray ended; see {settings.serving / 'head.log'}"
    application = _application(settings, running)
    if application.get("status") in FAILED:
        return f"the application is {application['status']}: {_reason(application)}"
    return None


def _reason(application: dict[str, Any]) -> str:
    deployment = application.get("deployments", {}).get(DEPLOYMENT, {})
    return str(deployment.get("message") or application.get("message"))[-1_500:]


def _replica_ports(running: Cluster) -> list[int]:
    """Where replicas may answer by themselves; without HAProxy the proxy gives one at random."""
    if running.ingress == "haproxy":
        return [running.base + offset for offset in ports.REPLICA_HTTP]
    return [running.base + Port.HTTP] * PROXY_TRIES


def _readiness(port: int) -> dict[str, Any]:
    try:
        return dict(httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5, trust_env=False).json())
    except (httpx.TransportError, ValueError):
        return {}
