"""What had arrived by some time: a live log as a platform meets it, night by night."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from math import ceil

import polars as pl

from feed_platform.feed import FeedError, SimulatorSource
from feed_platform.interactions.batch import RAW_TABLES, Batch
from feed_platform.interactions.simulator.days import simulate_day
from feed_platform.interactions.simulator.delivery import (
    BACKLOG_SECONDS,
    MAX_LATE_HOURS,
    MAX_RETRY_SECONDS,
)

DAY = timedelta(days=1)


def arrivals(source: SimulatorSource, start: date, since: datetime, until: datetime) -> Iterator[Batch]:
    """What arrived in [since, until), as one batch for each day on which some of it happened.

    Rows say when in `received_at`. Each row arrives in exactly one stretch of a partition of
    time; a duplicate may arrive in another than its original.

    Args:
        start: the feed's first day.
        since, until: UTC, naive.

    Raises:
        FeedError: the source isn't live.
    """
    if source.mode != "live":
        raise FeedError("a history has no time of arrival: give the simulator mode = 'live'")
    first_midnight = datetime.combine(start, datetime.min.time())
    first = (since - first_midnight) // DAY - days_on_the_way(source)
    last = (until - first_midnight) // DAY
    for day in range(max(first, 0), min(last + 1, source.days)):
        arrived = _arrived(simulate_day(source, start, day), since, until)
        if any(arrived.table(name) is not None for name in RAW_TABLES):
            yield arrived


def nights(source: SimulatorSource, start: date) -> Iterator[tuple[datetime, Iterator[Batch]]]:
    """Every midnight from the end of the first day until all has arrived, and what came since the last.

    Raises:
        FeedError: when batches are taken and the source isn't live.
    """
    begin = datetime.combine(start, datetime.min.time())
    for number in range(source.days + days_on_the_way(source)):
        since, until = begin + number * DAY, begin + (number + 1) * DAY
        yield until, arrivals(source, start, since, until)


def days_on_the_way(source: SimulatorSource) -> int:
    """Days after the one on which it happened in which an event may still arrive; 0 in a history."""
    if source.mode == "history":
        return 0
    waiting = sum(outage.hours for outage in source.outages)
    return ceil((MAX_LATE_HOURS + waiting + (MAX_RETRY_SECONDS + BACKLOG_SECONDS) / 3_600) / 24)


def _arrived(batch: Batch, since: datetime, until: datetime) -> Batch:
    frames = {name: _within(batch.table(name), since, until) for name in RAW_TABLES}
    impressions = frames["impressions"]
    if batch.truth is None or impressions is None:
        return Batch(**frames)
    return Batch(**frames, truth=batch.truth.join(impressions, on="impression_id", how="semi"))


def _within(frame: pl.DataFrame | None, since: datetime, until: datetime) -> pl.DataFrame | None:
    if frame is None:
        return None
    found = frame.filter(pl.col("received_at").is_between(since, until, closed="left"))
    return found if len(found) else None
