"""What the ranking service logs: one JSON record per answer and per feedback event.

Times are UTC and naive. Fields may be added with a default; none is renamed or removed, so
that old segments stay readable.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

FLOATS = np.dtype("<f4")


class CandidateRecord(msgspec.Struct, frozen=True, gc=False):
    """A post in one answer's order, as segments of an older release have it."""

    post_id: str
    rank: int
    score: float
    propensity: float | None


class CandidateColumns(msgspec.Struct, frozen=True, gc=False):
    """Posts in one answer's order (n,), their scores, the probabilities of their places.

    Those that a cap by author or topic left out have no place, and stand behind the others. Without
    `propensities` all places were certain.
    """

    post_ids: list[str]
    scores: list[float]
    propensities: list[float | None] | None = None

    @classmethod
    def of(cls, candidates: Sequence[CandidateRecord]) -> "CandidateColumns":
        """What an older release wrote."""
        return cls(
            [one.post_id for one in candidates],
            [one.score for one in candidates],
            [one.propensity for one in candidates],
        )

    @property
    def chances(self) -> list[float | None]:
        """Every post's propensity."""
        return [1.0] * len(self.post_ids) if self.propensities is None else self.propensities


class RequestRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of `/v1/rank` or `/v1/feed`.

    Attributes:
        received_at: when the service took the request; of several answers to one request_id
            the first one counts.
        upserts_seen: number of the last change of a post or user that the answer took into account, received
            at `upserts_at`; none since the features' hour.
        limit: how many candidates the answer showed; the others were ranked below them.
        candidates: every candidate that was ranked, best first.
        vectors: the feature rows of `candidates`, in their order, each as long as `vector_names`:
            little-endian float32, row by row. An older release wrote lists, and null for NaN. Kept for a
            sample of the requests.
    """

    request_id: str
    user_id: str | None
    surface: str
    context: dict[str, Any]
    requested_at: datetime
    received_at: datetime
    policy: str
    limit: int
    candidates: CandidateColumns | list[CandidateRecord]
    served_by: str
    model_version: str | None = None
    features_as_of: datetime | None = None
    experiment: str | None = None
    arm: str | None = None
    upserts_seen: int | None = None
    upserts_at: datetime | None = None
    vectors: bytes | list[list[float | None]] | None = None
    vector_names: list[str] | None = None

    def __post_init__(self) -> None:
        if (matrix := self.matrix) is not None:
            expected = len(self.ranked.post_ids), len(self.vector_names or ())
            if matrix.shape != expected:
                raise ValueError(f"vectors of shape {matrix.shape} instead of {expected}")

    @property
    def ranked(self) -> CandidateColumns:
        """The candidates, whichever release wrote them."""
        known = self.candidates
        return known if isinstance(known, CandidateColumns) else CandidateColumns.of(known)

    @property
    def matrix(self) -> npt.NDArray[np.float32] | None:
        """The vectors (n, k), whichever release wrote them; None where none were kept."""
        if not self.vectors:
            return None
        if isinstance(self.vectors, bytes):
            return np.frombuffer(self.vectors, dtype=FLOATS).reshape(-1, len(self.vector_names or ()))
        return np.array(self.vectors, dtype=FLOATS)


class FeedbackRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted event of `/v1/feedback`; event_type `impression` says that a post was seen."""

    event_id: str
    event_type: str
    post_id: str
    occurred_at: datetime
    received_at: datetime
    user_id: str | None = None
    request_id: str | None = None
    position: int | None = None
    value: float | None = None


_ENCODER = msgspec.json.Encoder()
_REQUEST = msgspec.json.Decoder(RequestRecord)
_FEEDBACK = msgspec.json.Decoder(FeedbackRecord)


def encode(record: RequestRecord | FeedbackRecord) -> bytes:
    """A record as JSON, the payload of a segment's record."""
    return _ENCODER.encode(record)


def decode_request(payload: bytes) -> RequestRecord:
    """Read a request record.

    Raises:
        msgspec.DecodeError: not one (its subclass ValidationError names the field).
    """
    return _REQUEST.decode(payload)


def decode_feedback(payload: bytes) -> FeedbackRecord:
    """Read a feedback record.

    Raises:
        msgspec.DecodeError: not one (its subclass ValidationError names the field).
    """
    return _FEEDBACK.decode(payload)
