"""Log records as polars frames, one row per answer, candidate, vector or event."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import polars as pl

from feed_platform.interactions.log_tails import Logged
from feed_platform.interactions.records import FeedbackRecord, RequestRecord

PLACE: dict[str, Any] = {"file": pl.String, "byte": pl.Int64}
ANSWER: dict[str, Any] = {
    "request_id": pl.String,
    "user_id": pl.String,
    "surface": pl.String,
    "requested_at": pl.Datetime("us"),
    "received_at": pl.Datetime("us"),
    "policy": pl.String,
    "experiment": pl.String,
    "arm": pl.String,
    "model_version": pl.String,
    "features_as_of": pl.Datetime("us"),
    "upserts_seen": pl.Int64,
    "upserts_at": pl.Datetime("us"),
    "served_by": pl.String,
}
EVENT: dict[str, Any] = {
    "event_id": pl.String,
    "event_type": pl.String,
    "user_id": pl.String,
    "post_id": pl.String,
    "request_id": pl.String,
    "position": pl.Int32,
    "occurred_at": pl.Datetime("us"),
    "value": pl.Float64,
    "received_at": pl.Datetime("us"),
}
CANDIDATE: dict[str, Any] = {
    "post_id": pl.String,
    "rank": pl.Int32,
    "score": pl.Float64,
    "propensity": pl.Float64,
}
VECTOR: dict[str, Any] = {
    "answer": pl.Int64,
    "post_id": pl.String,
    "names": pl.List(pl.String),
    "vector": pl.List(pl.Float32),
}


def event_frame(events: Sequence[Logged[FeedbackRecord]]) -> pl.DataFrame:
    """Feedback events: the record's fields, `file` and `byte`."""
    return _columns(events, EVENT)


def answer_frames(answers: Sequence[Logged[RequestRecord]]) -> dict[str, pl.DataFrame]:
    """Answers and what belongs to them, joined by the number `answer`.

    Returns:
        `log_answers`: the record's fields, `shown` (its limit), `context` as JSON text, `file`, `byte`;
        `log_candidates`: post_id, rank, score, propensity; `log_vectors`: post_id, names, vector.
    """
    records = [logged.record for logged in answers]
    number = pl.Series("answer", range(len(records)), dtype=pl.Int64)
    shown = pl.Series("shown", [record.limit for record in records], dtype=pl.Int32)
    context = [msgspec.json.encode(record.context).decode() for record in records]
    return {
        "log_answers": _columns(answers, ANSWER).with_columns(
            number, shown, pl.Series("context", context, dtype=pl.String)
        ),
        "log_candidates": _candidates(records),
        "log_vectors": _vectors(records),
    }


def _columns(logged: Sequence[Logged[Any]], fields: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(
        {name: [getattr(entry.record, name) for entry in logged] for name in fields}
        | {name: [getattr(entry, name) for entry in logged] for name in PLACE},
        schema={**fields, **PLACE},
    )


def _candidates(records: Sequence[RequestRecord]) -> pl.DataFrame:
    ranked = [record.ranked for record in records]
    lists = {
        "answer": range(len(records)),
        "post_id": [one.post_ids for one in ranked],
        "rank": [range(1, len(one.post_ids) + 1) for one in ranked],
        "score": [one.scores for one in ranked],
        "propensity": [one.chances for one in ranked],
    }
    schema: dict[str, Any] = {"answer": pl.Int64} | {name: pl.List(kind) for name, kind in CANDIDATE.items()}
    return pl.DataFrame(lists, schema=schema).explode(*CANDIDATE, empty_as_null=False)


def _vectors(records: Sequence[RequestRecord]) -> pl.DataFrame:
    kept = (_vectors_of(answer, record) for answer, record in enumerate(records) if record.vectors)
    return pl.concat([pl.DataFrame(schema=VECTOR), *kept])


def _vectors_of(answer: int, record: RequestRecord) -> pl.DataFrame:
    columns = {
        "post_id": record.ranked.post_ids,
        "names": [record.vector_names] * len(record.ranked.post_ids),
        "vector": record.matrix,
    }
    frame = pl.DataFrame(columns).with_columns(answer=pl.lit(answer))
    return frame.select(pl.col(name).cast(kind) for name, kind in VECTOR.items())
