"""What one replica process holds: model and features, logs, counters."""

import asyncio
import logging
import os
import queue
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import msgspec

from feed_platform.feed import Feed
from feed_platform.serving import records
from feed_platform.serving.deadline import Pace
from feed_platform.serving.feedback import CLOCK_SKEW, utc
from feed_platform.serving.history import Event, History
from feed_platform.serving.journal import Journal
from feed_platform.serving.metrics import Metrics
from feed_platform.serving.problems import Problem
from feed_platform.serving.ranking import Ranking
from feed_platform.serving.schemas import (
    Explorer,
    FeedbackEvent,
    FeedbackResponse,
    FieldError,
    Readiness,
    Tier,
)
from feed_platform.serving.store import Store
from feed_platform.settings import Settings

REQUESTS_WAITING, FEEDBACK_WAITING = 64 * 1024**2, 64 * 1024**2  # bytes
REQUESTS_PATIENCE = 0.1  # seconds: an fsync for each answer would cost as much as the answer
KNOWN_EVENTS = 100_000
DURABLE_SECONDS = 5.0
RETRY = {"Retry-After": "1"}

_ENCODER = msgspec.json.Encoder()
log = logging.getLogger(__name__)


@dataclass
class Backend:
    """The state behind the API of one replica."""

    settings: Settings
    feed: Feed
    replica: str
    store: Store
    metrics: Metrics
    requests: Journal
    feedback: Journal
    pace: Pace
    history: History
    sampling: records.Sampling = field(default_factory=records.Sampling)
    known_events: records.Recent = field(default_factory=lambda: records.Recent(KNOWN_EVENTS))

    @classmethod
    def open(cls, settings: Settings, feed: Feed) -> "Backend":
        """Load what the pointers name, start watching them, open the logs."""
        replica = records.new_id()[:12]
        metrics = Metrics(replica)
        store = Store(settings, lambda part: metrics.load_errors.labels(part).inc())
        store.refresh()
        store.watch()
        lost = metrics.dropped.inc
        requests = Journal(settings.logs / "requests", replica, REQUESTS_WAITING, lost, REQUESTS_PATIENCE)
        feedback = Journal(settings.logs / "feedback", replica, FEEDBACK_WAITING)
        pace = Pace(settings.deadline_ms / 1_000, lambda tier: metrics.tier_skips.labels(tier).inc())
        snapshot = store.loaded.snapshot
        history = History(settings.logs / "feedback", feed, snapshot.as_of if snapshot else None)
        history.refresh()
        history.watch()
        return cls(settings, feed, replica, store, metrics, requests, feedback, pace, history)

    def close(self) -> None:
        """Write what waits in the logs, stop watching."""
        self.store.close()
        self.history.close()
        self.requests.close()
        self.feedback.close()

    @property
    def has_free_core(self) -> bool:
        """Whether the machine has more cores than the service has replicas."""
        return len(os.sched_getaffinity(0)) > self.settings.replicas

    def instant(self, given: datetime | None, where: str) -> datetime:
        """When a request happens (UTC, naive): as given, else now, which for an old log is the snapshot's.

        Raises:
            Problem: 422, it lies in the future.
        """
        if given is not None:
            instant = utc(given)
            if instant > records.now() + CLOCK_SKEW:
                fault = FieldError("lies more than an hour in the future", where)
                raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request is not valid", [fault])
            return instant
        snapshot = self.store.loaded.snapshot
        if self.feed.clock == "log" and snapshot is not None:
            return snapshot.as_of + self.feed.feature_delay
        return records.now()

    def refuse_if_late(self, began: float) -> None:
        """Shed load before what waits outgrows the deadline.

        Raises:
            Problem: 503, the request has waited for half its deadline before anything was done for it.
        """
        if self.pace.is_too_late(began):
            self.metrics.refused.inc()
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests wait", headers=RETRY)

    def log(self, ranking: Ranking) -> None:
        """Log an answer, best effort."""
        if ranking.is_look:
            return
        received_at = records.now()
        full = self.sampling.takes(ranking.asked.request_id, received_at)
        try:
            taken = self.requests.offer(_ENCODER.encode(records.request_record(ranking, received_at, full)))
        except Exception as error:  # the answer is given, whatever a client's context holds
            log.warning("a record can't be logged: %s", error)
            taken = False
        if not taken:
            self.metrics.dropped.inc()

    async def make_durable(self, events: list[FeedbackEvent]) -> None:
        """Return when the events are on the disk.

        Raises:
            Problem: 503, they may be lost.
        """
        received_at = records.now()
        payloads = [_ENCODER.encode(records.feedback_record(event, received_at)) for event in events]
        try:
            done = asyncio.wrap_future(self.feedback.commit(payloads))
            await asyncio.wait_for(done, DURABLE_SECONDS)
        except (OSError, queue.Full, TimeoutError) as error:
            detail = "the events could not be made durable: send them again"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=RETRY) from error

    def note(self, events: Iterable[FeedbackEvent]) -> None:
        """Take posts that were seen or hidden out of the next feed, before any log is read."""
        now = records.now()
        self.history.take(Event(one.user_id, one.post_id, one.event_type, now) for one in events)

    def readiness(self) -> Readiness:
        """What is loaded, and what could not be."""
        loaded = self.store.loaded
        champion, snapshot = loaded.champion, loaded.snapshot
        return Readiness(
            ready=champion is not None and snapshot is not None,
            replica=self.replica,
            pid=os.getpid(),
            model_version=champion.version if champion else None,
            bundle=champion.bundle.version if champion else None,
            snapshot=snapshot.hash if snapshot else None,
            features_as_of=snapshot.as_of.replace(tzinfo=UTC) if snapshot else None,
            attempted=self.store.attempted,
            errors=self.store.errors,
        )

    def explorer(self) -> Explorer:
        """What the page at `/` asks for."""
        readiness, loaded = self.readiness(), self.store.loaded
        return Explorer(
            feed=self.feed.name,
            clock=self.feed.clock,
            feature_delay_minutes=self.feed.feature_delay_minutes,
            event_types=list(self.feed.event_types),
            users=loaded.snapshot.sample_users() if loaded.snapshot else [],
            model_version=readiness.model_version,
            challenger=loaded.challenger.version if loaded.challenger else None,
            features_as_of=readiness.features_as_of,
        )

    def count_tier_failure(self, tier: Tier) -> None:
        """A tier failed to score."""
        self.metrics.tier_failures.labels(tier).inc()

    def count_feedback(self, answer: FeedbackResponse) -> None:
        """Count events by what became of them."""
        outcomes = {
            "accepted": answer.accepted,
            "duplicate": answer.duplicates,
            "rejected": len(answer.rejected),
        }
        for outcome, count in outcomes.items():
            self.metrics.feedback.labels(outcome).inc(count)

    def exposition(self) -> bytes:
        """The counters in Prometheus' text format."""
        readiness = self.readiness()
        self.metrics.describe(readiness.model_version)
        if readiness.features_as_of:
            self.metrics.features_as_of.set(readiness.features_as_of.timestamp())
        self.metrics.waiting.labels("requests").set(self.requests.waiting)
        self.metrics.waiting.labels("feedback").set(self.feedback.waiting)
        self.metrics.waiting_bytes.labels("requests").set(self.requests.waiting_bytes)
        self.metrics.waiting_bytes.labels("feedback").set(self.feedback.waiting_bytes)
        return self.metrics.exposition()

    def report_path(self) -> Path | None:
        """The evaluation report of the model in service, if there is one."""
        champion = self.store.loaded.champion
        path = self.settings.reports / f"model-{champion.version}.html" if champion else None
        return path if path and path.exists() else None
