"""Answers and feedback as the records that the import reads."""

import random
from collections.abc import Container
from datetime import UTC, datetime
from zlib import crc32

from feed_platform.interactions.records import FLOATS, FeedbackRecord, RequestRecord
from feed_platform.serving.feedback import utc
from feed_platform.serving.ranking import Ranking
from feed_platform.serving.schemas import FeedbackEvent

FULL_PER_HOUR = 100
FULL_ONE_IN = 100


class Sampling:
    """Which requests are logged with their feature vectors: 1 %, and the first 100 of each hour."""

    def __init__(self) -> None:
        self._hour: datetime | None = None
        self._taken = 0

    def takes(self, request_id: str, received_at: datetime) -> bool:
        """Whether this request's vectors are kept."""
        hour = received_at.replace(minute=0, second=0, microsecond=0)
        if hour != self._hour:
            self._hour, self._taken = hour, 0
        self._taken += 1
        return self._taken <= FULL_PER_HOUR or crc32(request_id.encode()) % FULL_ONE_IN == 0


def request_record(ranking: Ranking, received_at: datetime, with_vectors: bool) -> RequestRecord:
    """The log record of an answer, every candidate in ranked order, those that a cap left out last."""
    asked, scored, snapshot = ranking.asked, ranking.scored, ranking.snapshot
    vectors = ranking.vectors if with_vectors else None
    return RequestRecord(
        request_id=asked.request_id,
        user_id=asked.request.user_id,
        surface=asked.request.surface,
        context=dict(asked.request.context),
        requested_at=asked.at,
        received_at=received_at,
        policy=ranking.policy,
        experiment=ranking.arm.experiment,
        arm=ranking.arm.name,
        limit=ranking.limit,
        candidates=ranking.candidates,
        served_by=scored.served_by,
        model_version=scored.model_version,
        features_as_of=snapshot.as_of if snapshot else None,
        upserts_seen=snapshot.upserts_seen if snapshot else None,
        upserts_at=snapshot.upserts_at if snapshot else None,
        vectors=vectors[ranking.order].astype(FLOATS).tobytes() if vectors is not None else None,
        vector_names=list(snapshot.names) if snapshot and vectors is not None else None,
    )


def feedback_record(event: FeedbackEvent, received_at: datetime) -> FeedbackRecord:
    """The log record of an event."""
    return FeedbackRecord(
        event_id=event.event_id,
        event_type=event.event_type,
        post_id=event.post_id,
        occurred_at=utc(event.occurred_at),
        received_at=received_at,
        user_id=event.user_id,
        request_id=event.request_id,
        position=event.position,
        value=event.value,
    )


def new_id() -> str:
    """A random id, without the system call that `uuid4` makes: it hides nothing."""
    return f"{random.getrandbits(128):032x}"


def now() -> datetime:
    """The machine's time (UTC, naive)."""
    return datetime.now(UTC).replace(tzinfo=None)


class Recent(Container[str]):
    """The newest ids, up to a number of them."""

    def __init__(self, capacity: int) -> None:
        self._ids: dict[str, None] = {}
        self._capacity = capacity

    def __contains__(self, found: object) -> bool:
        return found in self._ids

    def add(self, new: str) -> None:
        """Remember an id; the oldest makes room."""
        self._ids[new] = None
        while len(self._ids) > self._capacity:
            del self._ids[next(iter(self._ids))]
