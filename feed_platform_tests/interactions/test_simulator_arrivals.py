"""A live simulated log arrives late, twice and after outages, and all of it arrives."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feed_platform.feed import Feed, FeedError, Outage, SimulatorSource
from feed_platform.interactions.batch import RAW_TABLES, Batch
from feed_platform.interactions.ingest import ingest
from feed_platform.interactions.simulator import (
    SIMULATOR_ATTRIBUTES,
    arrivals,
    nights,
    simulate,
    simulate_day,
)
from feed_platform.lake import Lake
from feed_platform.settings import Settings

START = date(2026, 3, 1)
MIDNIGHT = datetime.combine(START, datetime.min.time())
LIVE = SimulatorSource(
    seed=5,
    mode="live",
    days=8,
    users=150,
    posts_per_day=8,
    requests_per_day=120,
    duplicate_share=0.05,
    late_share=0.1,
    outages=(Outage(day=2, hour=20, hours=9), Outage(day=5, hour=3, hours=4.5)),
)
OCCURRED = {"impressions": "shown_at", "engagements": "occurred_at"}


def test_nothing_arrives_in_an_outage_nor_before_it_happens() -> None:
    for name in RAW_TABLES:
        received = _all(simulate(LIVE, START), name)["received_at"]
        for outage in LIVE.outages:
            begin = MIDNIGHT + timedelta(days=outage.day, hours=outage.hour)
            end = begin + timedelta(hours=outage.hours)
            assert not received.is_between(begin, end, closed="left").any()
            assert name not in OCCURRED or received.is_between(end, end + timedelta(minutes=30)).any()
    for name, column in OCCURRED.items():
        events = _all(simulate(LIVE, START), name)
        assert (events["received_at"] >= events[column]).all()


def test_late_and_repeated_events_are_as_many_as_asked_for() -> None:
    source = LIVE.model_copy(update={"outages": ()})
    for name, column in OCCURRED.items():
        events = _all(simulate(source, START), name)
        key = f"{name.removesuffix('s')}_id"
        delay = events.unique(key, keep="first", maintain_order=True).select(
            pl.col("received_at") - pl.col(column)
        )
        late = (delay.to_series() > timedelta(minutes=1)).mean()
        assert late == pytest.approx(0.1, abs=0.02)
        assert len(events) / events[key].n_unique() - 1 == pytest.approx(0.05, abs=0.01)
        assert delay.to_series().max() <= timedelta(hours=72)  # type: ignore[operator]


def test_delivery_changes_nothing_of_what_happened() -> None:
    plain = SimulatorSource.model_validate(
        LIVE.model_dump() | {"mode": "history", "late_share": 0, "duplicate_share": 0, "outages": ()}
    )
    for name in OCCURRED:
        delivered = _all([simulate_day(LIVE, START, 2)], name).drop("received_at")
        happened = _all([simulate_day(plain, START, 2)], name)
        assert delivered.head(len(happened)).equals(happened)
        assert delivered.unique().sort(pl.all()).equals(happened.sort(pl.all()))


@settings(max_examples=12)
@given(st.lists(st.integers(0, 14 * 1_440), min_size=1, max_size=4))
def test_however_time_is_cut_each_row_arrives_once(cuts: list[int]) -> None:
    ends = sorted({0, *cuts, 15 * 1_440})
    times = [MIDNIGHT + timedelta(minutes=minutes) for minutes in ends]
    pieces = [batch for since, until in pairwise(times) for batch in arrivals(LIVE, START, since, until)]
    for name in RAW_TABLES:
        arrived, delivered = _all(pieces, name), _all(simulate(LIVE, START), name)
        assert arrived.sort(pl.all()).equals(delivered.sort(pl.all()))


def test_a_long_outage_delivers_everything_after_it() -> None:
    source = LIVE.model_copy(update={"outages": (Outage(day=6, hour=0, hours=120),)})
    delivered = [batch for _, batches in nights(source, START) for batch in batches]
    assert len(_all(delivered, "impressions")) == len(_all(simulate(source, START), "impressions"))


def test_a_history_has_no_arrivals() -> None:
    with pytest.raises(FeedError, match="give the simulator mode = 'live'"):
        list(arrivals(SimulatorSource(), START, MIDNIGHT, MIDNIGHT + timedelta(days=1)))


def test_nightly_imports_bring_every_event_once_known_from_when_it_first_arrived(home: Settings) -> None:
    lake = Lake.of(home)
    feed = Feed(start=START, attributes=SIMULATOR_ATTRIBUTES, sources=(LIVE,))
    inserted = 0
    for night, batches in nights(LIVE, START):
        counts = ingest(lake, feed, batches, mode="live", source="simulator", imported_at=night)
        assert not {reason for reason in counts.impressions.reasons if "duplicate" not in reason}
        inserted += counts.impressions.inserted
    delivered = _all(simulate(LIVE, START), "impressions")
    first = delivered.group_by("impression_id").agg(
        known_at=pl.max_horizontal(pl.col("shown_at").first(), pl.col("received_at").min())
    )
    with lake.read() as con:
        stored = con.sql("select impression_id, known_at from raw.impressions").pl()
        truth = con.sql("from truth.impressions order by impression_id").pl()
    assert inserted == len(first)
    assert stored.sort("impression_id").equals(first.sort("impression_id"))
    told = _all(simulate(LIVE, START), "truth").unique("impression_id").sort("impression_id")
    assert truth.equals(told.select(truth.columns))


def _all(batches: Iterable[Batch], name: str) -> pl.DataFrame:
    frames = (batch.table(name) for batch in batches)
    return pl.concat([frame for frame in frames if frame is not None])
