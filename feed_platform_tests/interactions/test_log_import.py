"""The service's logs come back exactly once, whatever was killed, torn, repeated or sent twice."""

import hashlib
import os
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from feed_platform.feed import Feed
from feed_platform.interactions.log_import import LogCounts, import_logs
from feed_platform.interactions.records import CandidateColumns, FeedbackRecord, RequestRecord, encode
from feed_platform.interactions.segments import SegmentWriter, find_segments
from feed_platform.lake import Lake
from feed_platform.settings import Settings

AT = datetime(2026, 3, 5, 12, 20)
NOW = datetime(2026, 3, 5, 13, 0)
FEED = Feed(start=date(2026, 3, 1))
TABLES = (
    "raw.impressions",
    "raw.engagements",
    "serving.requests",
    "serving.candidates",
    "serving.vectors",
    "quarantine.impressions",
    "quarantine.engagements",
)


def _request(request_id: str, posts: str = "abc", **changes: Any) -> RequestRecord:
    ranks = range(1, len(posts) + 1)
    fields: dict[str, Any] = {
        "request_id": request_id,
        "user_id": "ann",
        "surface": "home",
        "context": {"device": "phone"},
        "requested_at": AT,
        "received_at": AT,
        "policy": "softmax",
        "limit": 2,
        "candidates": CandidateColumns(
            [*posts], [1 / rank for rank in ranks], [0.5 / rank for rank in ranks]
        ),
        "served_by": "champion",
        "model_version": "3",
        "features_as_of": AT.replace(minute=0),
    }
    return RequestRecord(**{**fields, **changes})


def _event(event_type: str, request_id: str | None = "r1", post: str = "a", **changes: Any) -> FeedbackRecord:
    fields: dict[str, Any] = {
        "event_id": f"{event_type}-{request_id}-{post}",
        "event_type": event_type,
        "user_id": "ann",
        "post_id": post,
        "request_id": request_id,
        "position": 1 if event_type == "impression" else None,
        "occurred_at": AT + timedelta(seconds=5),
        "received_at": AT + timedelta(seconds=6),
    }
    return FeedbackRecord(**{**fields, **changes})


def _log(
    home: Settings,
    requests: Iterable[RequestRecord] = (),
    feedback: Iterable[FeedbackRecord] = (),
    writer_id: str = "replica",
) -> None:
    for kind, records in (("requests", requests), ("feedback", feedback)):
        writer = SegmentWriter(home.logs / kind, writer_id)
        for record in records:
            writer.append(encode(record))
        writer.close()


def _import(home: Settings) -> LogCounts:
    with Lake.of(home).write("import logs") as con:
        return import_logs(con, home, FEED, NOW)


def _all(home: Settings, sql: str) -> list[tuple[Any, ...]]:
    with Lake.of(home).read() as con:
        return con.execute(sql).fetchall()


def _tables(home: Settings) -> dict[str, list[tuple[Any, ...]]]:
    with Lake.of(home).read() as con:
        return {name: sorted(con.execute(f"from {name}").fetchall(), key=repr) for name in TABLES}


def _impression_id(request_id: str, post: str) -> str:
    return hashlib.md5(f"{request_id}\x1f{post}".encode(), usedforsecurity=False).hexdigest()


def test_an_answer_and_its_feedback_become_rows(home: Settings) -> None:
    rows = np.array([[1.0, np.nan], [2.0, 0.5], [3.0, 0.25]], dtype="<f4")
    vectors = {"vectors": rows.tobytes(), "vector_names": ["x", "y"]}
    click = _event("click", user_id=None)
    _log(home, [_request("r1", **vectors)], [_event("impression"), click, _event("dwell", None, value=900.0)])
    counts = _import(home)
    assert (counts.requests, counts.repeated, counts.torn_bytes, counts.unreadable) == (1, 0, 0, 0)
    assert _all(home, "select * exclude (context) from serving.requests") == [
        (
            "r1",
            "ann",
            "home",
            AT,
            "softmax",
            None,
            None,
            "3",
            AT.replace(minute=0),
            None,
            None,
            "champion",
            AT,
        )
    ]
    assert _all(home, "from serving.candidates order by rank") == [
        ("r1", "a", 1, 1.0, 0.5),
        ("r1", "b", 2, 0.5, 0.25),
        ("r1", "c", 3, 1 / 3, 0.5 / 3),
    ]
    assert _all(home, "select post_id, names, vector[1], isnan(vector[2]) from serving.vectors limit 1") == [
        ("a", ["x", "y"], 1.0, True)
    ]
    impression = _impression_id("r1", "a")
    assert _all(
        home,
        "select impression_id, request_id, surface, user_id, post_id, shown_at, position, propensity, "
        "propensity_kind, policy, context->>'device', known_at, source from raw.impressions",
    ) == [
        (
            impression,
            "r1",
            "home",
            "ann",
            "a",
            AT + timedelta(seconds=5),
            1,
            0.5,
            "conditional",
            "softmax",
            "phone",
            AT + timedelta(seconds=6),
            "service",
        )
    ]
    assert _all(
        home, "select event_type, impression_id, user_id, value from raw.engagements order by event_type"
    ) == [("click", impression, "ann", None), ("dwell", None, "ann", 900.0)]


def test_reading_the_same_bytes_again_changes_nothing(home: Settings) -> None:
    """As after a kill between the rows' commit and the offset's, if these were apart."""
    _log(home, [_request("r1"), _request("r2")], [_event("impression"), _event("click"), _event("nonsense")])
    _import(home)
    before = _tables(home)
    assert len(before["quarantine.engagements"]) == 1
    again = _import(home)
    assert (again.requests, again.repeated, again.feedback.engagements.read) == (0, 0, 0)
    with Lake.of(home).write("forget the offsets") as con:
        con.execute("delete from serving.segments")
    assert _import(home).requests == 0
    assert _tables(home) == before


def test_a_transaction_that_dies_leaves_no_offset(home: Settings) -> None:
    _log(home, [_request("r1")], [_event("impression")])
    with pytest.raises(KeyboardInterrupt), Lake.of(home).write("import logs") as con:
        import_logs(con, home, FEED, NOW)
        raise KeyboardInterrupt
    assert _import(home).requests == 1
    assert len(_tables(home)["raw.impressions"]) == 1


def test_an_open_segment_is_read_as_it_grows_and_after_it_was_closed(home: Settings) -> None:
    writer = SegmentWriter(home.logs / "feedback", "replica")
    for number in range(3):
        writer.append(encode(_event("click", post=f"p{number}")))
        writer.sync()
        assert _import(home).feedback.engagements.inserted == 1
    writer.append(encode(_event("click", post="last")))
    writer.close()
    assert _import(home).feedback.engagements.inserted == 1
    assert len(_all(home, "from serving.segments")) == 1
    assert _all(home, "select file from serving.segments")[0][0].startswith("logs/feedback/replica-")


def test_a_torn_tail_is_counted_and_read_once_it_is_whole(home: Settings) -> None:
    _log(home, feedback=[_event("click", post="a"), _event("click", post="b")])
    (path,) = find_segments(home.logs / "feedback").values()
    whole = path.read_bytes()
    os.truncate(path, len(whole) - 3)
    torn = _import(home)
    assert (torn.feedback.engagements.inserted, torn.torn_bytes) == (1, len(whole) // 2 - 3)
    assert _all(home, "select torn_bytes from serving.segments") == [(len(whole) // 2 - 3,)]
    path.write_bytes(whole)
    assert _import(home).feedback.engagements.inserted == 1
    assert _all(home, "select imported_bytes, torn_bytes from serving.segments") == [(len(whole), 0)]


def test_the_first_answer_counts_and_a_different_one_drops_the_propensity(home: Settings) -> None:
    later = AT + timedelta(seconds=1)
    _log(
        home,
        [_request("same", received_at=later), _request("other", "cba", received_at=later)],
        writer_id="a",
    )
    _log(home, [_request("same"), _request("other")], [_event("impression", "same")], writer_id="b")
    counts = _import(home)
    assert (counts.requests, counts.repeated) == (2, 2)
    assert _all(home, "select post_id, propensity from serving.candidates where request_id = 'other'") == [
        ("a", None),
        ("b", None),
        ("c", None),
    ]
    _log(home, [_request("same", "acb", served_by="popularity")], [_event("impression", "same", "b")])
    assert _import(home).repeated == 1
    assert _all(home, "select request_id, served_by from serving.requests order by 1") == [
        ("other", "champion"),
        ("same", "champion"),
    ]
    seen = _all(home, "select post_id, propensity, propensity_kind from raw.impressions order by 1")
    assert seen == [("a", 0.5, "conditional"), ("b", None, None)]


def test_what_a_client_sends_twice_counts_once(home: Settings) -> None:
    again = {"received_at": AT + timedelta(minutes=1)}
    seen_again = _event("impression", event_id="seen-again", occurred_at=AT + timedelta(seconds=30), **again)
    events = [_event("impression"), _event("click"), _event("click", **again), seen_again]
    _log(home, [_request("r1")], events)
    assert _import(home).feedback.engagements.inserted == 1
    _log(home, feedback=[_event("click", **again), seen_again], writer_id="other")
    _import(home)
    tables = _tables(home)
    assert (len(tables["raw.impressions"]), len(tables["raw.engagements"])) == (1, 1)
    assert tables["quarantine.impressions"] == tables["quarantine.engagements"] == []
    assert _all(home, "select shown_at from raw.impressions") == [(AT + timedelta(seconds=5),)]


def test_bad_events_go_to_quarantine_and_the_rest_goes_on(home: Settings) -> None:
    ahead = _event("like", occurred_at=NOW + timedelta(hours=2))
    _log(home, feedback=[_event("click"), _event("nonsense"), ahead, _event("impression", None, "x")])
    counts = _import(home)
    assert counts.feedback.engagements.inserted == 1
    reasons = _all(home, "select reason, file from quarantine.engagements order by 1")
    assert ["event_type" in reasons[0][0], "occurred_at" in reasons[1][0]] == [True, True]
    assert all(file.startswith("logs/feedback/replica-") for _, file in reasons)
    assert "impression_id" in _all(home, "select reason from quarantine.impressions")[0][0]


def test_a_record_that_is_not_understood_is_counted(home: Settings) -> None:
    writer = SegmentWriter(home.logs / "feedback", "replica")
    writer.append(b'{"event_id": 7}')
    writer.append(encode(_event("click")))
    writer.close()
    counts = _import(home)
    assert (counts.unreadable, counts.feedback.engagements.inserted) == (1, 1)


def test_late_rows_are_known_from_the_seal_on(home: Settings) -> None:
    with Lake.of(home).write("seal") as con:
        con.execute("insert into raw.seals values (?, ?)", [NOW, NOW])
    _log(home, [_request("r1")], [_event("impression"), _event("click")])
    _import(home)
    for table in ("raw.impressions", "raw.engagements", "serving.requests"):
        assert _all(home, f"select known_at from {table}") == [(NOW,)]


def test_clients_that_cannot_report_have_the_first_items_counted_as_shown(home: Settings) -> None:
    served = home.model_copy(update={"impressions": "served"})
    _log(home, [_request("r1")], [_event("impression"), _event("click")])
    _import(served)
    assert _all(
        home, "select impression_id, post_id, position, shown_at from raw.impressions order by 3"
    ) == [
        (_impression_id("r1", "a"), "a", 1, AT),
        (_impression_id("r1", "b"), "b", 2, AT),
    ]
