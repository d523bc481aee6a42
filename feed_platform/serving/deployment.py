"""Bring a model into service: move the pointer, wait for every replica, ask it, or put all back."""

import logging
import statistics
import time
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import httpx
import msgspec
import numpy as np
from filelock import FileLock

from feed_platform.feed import FeedError, Serving, load_feed
from feed_platform.learning import registry
from feed_platform.learning.registry import ModelVersion
from feed_platform.serving import pointer, service
from feed_platform.serving.cluster import Cluster, Progress
from feed_platform.serving.pointer import Deployed, Pointer
from feed_platform.serving.ranking import rank
from feed_platform.serving.schemas import PROBE, RankRequest
from feed_platform.serving.store import Loaded, Store
from feed_platform.settings import Settings

SWAP_SECONDS = 60.0
CANDIDATES = 200
WARM_REQUESTS = 20
TOLERANCE = 1e-5

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Deployment:
    """What came into service: `ready_seconds` until every replica had it, `p50_ms` of warm requests."""

    version: str
    bundle: str
    url: str
    ready_seconds: float
    p50_ms: float
    candidates: int


def deploy(settings: Settings, progress: Progress = log.info) -> Deployment:
    """Serve the version that passed the gate, else the champion; the service is started where it doesn't run.

    The champion's alias follows once every replica serves the version.

    Raises:
        FeedError: there is no champion or no snapshot, a replica doesn't take the model, or answers
            otherwise than expected; the model before is then in service again, and still the champion.
    """
    chosen = registry.with_alias(settings, "approved") or registry.champion(settings)
    if chosen is None:
        raise FeedError("there is no champion to deploy: run dagster job execute -j train")
    if not (settings.online / "current.json").exists():
        raise FeedError("there is no feature snapshot to serve: materialize features/online_snapshot first")
    with _one_at_a_time(settings):
        before, named = pointer.read(settings), _exported(settings, chosen)
        done = _move(settings, before, before.moved_to(named) if before else Pointer(named), progress)
        _crown(settings, chosen)
    return done


def promote(settings: Settings, chosen: ModelVersion) -> None:
    """Make a version the champion, and what is deployed where anything is; starts no service.

    Raises:
        FeedError: a running service doesn't take the model; the one before serves on as the champion.
    """
    with _one_at_a_time(settings):
        registry.set_alias(settings, "approved", chosen)
        before = pointer.read(settings)
        if before is not None:
            _transition(settings, before, before.moved_to(_exported(settings, chosen)))
        _crown(settings, chosen)


def rollback(settings: Settings) -> str:
    """Put the model before the deployed one back: in service where that runs, and as the champion.

    Raises:
        FeedError: nothing was deployed before.
    """
    with _one_at_a_time(settings):
        before = pointer.read(settings)
        if before is None:
            raise FeedError("nothing is deployed yet: materialize serving/deployment first")
        after = before.moved_back()
        chosen = registry.get_version(settings, after.current.version)
        registry.set_alias(settings, "approved", chosen)
        _transition(settings, before, after)
        _crown(settings, chosen)
    return f"version {after.current.version} is deployed again, instead of {before.current.version}"


def settle(settings: Settings) -> ModelVersion | None:
    """The champion, after ending a move that was killed between pointer and alias.

    The alias `approved` is set before the pointer moves and taken off after the champion's has: where
    both name one version, only the champion's alias is missing.
    """
    with _one_at_a_time(settings):
        approved, deployed = registry.with_alias(settings, "approved"), pointer.read(settings)
        if approved and deployed and deployed.current.version == approved.version:
            _crown(settings, approved)
    return registry.champion(settings)


def awaits_approval(settings: Settings) -> bool:
    """Whether there is a model, but none that may serve yet."""
    aliases: tuple[registry.Alias, ...] = ("champion", "approved")
    may_serve = any(registry.with_alias(settings, alias) for alias in aliases)
    return not may_serve and registry.with_alias(settings, "challenger") is not None


def show_challenger(settings: Settings) -> None:
    """Let replicas load the registry's challenger beside what is deployed; nobody waits for it.

    What goes wrong is logged: a look must not keep the champion from serving.
    """
    try:
        found, deployed = registry.with_alias(settings, "challenger"), pointer.read(settings)
        is_other = found is not None and (deployed is None or deployed.current.bundle != found.bundle)
        pointer.write_challenger(settings, _exported(settings, found) if found and is_other else None)
    except Exception:
        log.exception("the challenger can't be shown")


def _exported(settings: Settings, chosen: ModelVersion) -> Deployed:
    return Deployed(registry.export_bundle(settings, chosen.version).name, chosen.version)


def _transition(settings: Settings, before: Pointer, after: Pointer) -> None:
    if Cluster.running(settings):
        _move(settings, before, after, log.info)
    else:
        pointer.write(settings, after)


def _crown(settings: Settings, chosen: ModelVersion) -> None:
    """The champion's alias, then the end of what led to it."""
    registry.set_alias(settings, "champion", chosen)
    led: tuple[registry.Alias, ...] = ("challenger", "approved")
    for alias in led:
        if registry.with_alias(settings, alias) == chosen:
            registry.set_alias(settings, alias, None)
    show_challenger(settings)


def _one_at_a_time(settings: Settings) -> FileLock:
    return FileLock(settings.serving / "deployment.lock")


def _move(settings: Settings, before: Pointer | None, after: Pointer, progress: Progress) -> Deployment:
    began = time.monotonic()
    pointer.write(settings, after)
    try:
        running = service.start(settings, progress)
        _await_replicas(settings, running, after.current)
        ready = time.monotonic() - began
        progress(f"every replica serves version {after.current.version} after {ready:.1f} s")
        p50, candidates = _verify(settings)
    except BaseException:  # also where a person interrupts it: half a deployment must not stay
        pointer.write(settings, before)
        raise
    return Deployment(after.current.version, after.current.bundle, running.url, ready, p50, candidates)


def _await_replicas(settings: Settings, running: Cluster, wanted: Deployed) -> None:
    states: list[dict[str, Any]] = []

    def all_serve() -> bool:
        states[:] = service.replicas(settings, running)
        return bool(states) and all(
            state.get("ready") and state.get("bundle") == wanted.bundle for state in states
        )

    def reason() -> str | None:
        refusals = [state["errors"] for state in states if _refuses(state, wanted)]
        return service.failure(settings, running) or (
            f"a replica refuses: {refusals[0]}" if refusals else None
        )

    service.await_until(all_serve, SWAP_SECONDS, reason)


def _refuses(state: dict[str, Any], wanted: Deployed) -> bool:
    return state.get("attempted") == wanted.bundle != state.get("bundle") and bool(
        state["errors"].keys() - {"challenger"}
    )


def _verify(settings: Settings) -> tuple[float, int]:
    """Compare an answer with one computed here; the median of a few warm requests in ms, their size."""
    store = Store(settings)
    store.refresh()
    request = _probe(settings, store.loaded)
    with service.connect(settings) as client:
        _compare(_ask(client, request), request, store.loaded, load_feed(settings).serving)
        seconds = [_timed(client, request) for _ in range(WARM_REQUESTS)]
    return statistics.median(seconds) * 1_000, len(request.candidate_ids)


def _probe(settings: Settings, loaded: Loaded) -> RankRequest:
    if loaded.snapshot is None:
        raise FeedError(f"the snapshot in {settings.online} can't be loaded: materialize it again")
    at = loaded.snapshot.as_of + load_feed(settings).feature_delay
    posts = loaded.snapshot.posts[:CANDIDATES] or ["unknown"]
    return RankRequest(
        candidate_ids=posts, request_id=PROBE, surface=PROBE, requested_at=at.replace(tzinfo=UTC)
    )


def _ask(client: httpx.Client, request: RankRequest) -> dict[str, Any]:
    answer = client.post("/v1/rank", json=msgspec.to_builtins(request))
    if answer.status_code != httpx.codes.OK:
        raise FeedError(f"the service answers {answer.status_code} to a ranking: {answer.text[:500]}")
    return dict(answer.json())


def _timed(client: httpx.Client, request: RankRequest) -> float:
    began = time.perf_counter()
    _ask(client, request)
    return time.perf_counter() - began


def _compare(answer: dict[str, Any], request: RankRequest, loaded: Loaded, serving: Serving) -> None:
    assert request.requested_at is not None
    at = request.requested_at.replace(tzinfo=None)
    expected = rank(request, PROBE, at, loaded, serving=serving).response()
    if (answer["served_by"], answer["model_version"]) != ("champion", expected.model_version):
        raise FeedError(f"version {answer['model_version']} answers ({answer['served_by']})")
    served = {item["post_id"]: item["score"] for item in answer["items"]}
    wanted = {item.post_id: item.score for item in expected.items}
    if served.keys() != wanted.keys() or not np.allclose(
        [served[post_id] for post_id in wanted], list(wanted.values()), rtol=TOLERANCE, atol=TOLERANCE
    ):
        raise FeedError("the service answers a recorded request otherwise than the model does here")
