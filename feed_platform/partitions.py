"""Partitions by `known_at`: the UTC days of a feed, or the months of a log over a quarter long.

Dagster notes two events for each partition and table of a run, some 10 ms each: for the 7,000 days
of a log of twenty years that would take hours, and nobody looks at such a log by the day.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg

from feed_platform.feed import Feed, find_feed
from feed_platform.lake import Lake, now
from feed_platform.lake.seal import DAY, day_of
from feed_platform.settings import Settings

DAY_FORMAT = "%Y-%m-%d"
BY_MONTHS_FROM = timedelta(days=92)
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def time_partitions() -> dg.TimeWindowPartitionsDefinition:
    """The current home's partitions; the last 30 days where there is no home yet."""
    settings = Settings()
    feed = find_feed(settings)
    if feed is None:
        return dg.DailyPartitionsDefinition(f"{datetime.now(UTC) - 30 * DAY:{DAY_FORMAT}}", end_offset=1)
    if feed.clock == "live":
        return dg.DailyPartitionsDefinition(feed.start_at, end_offset=1)
    last = _open_day(settings, feed)
    if not _by_months(feed, last):
        return dg.DailyPartitionsDefinition(feed.start_at, end_date=last + DAY)
    next_month = (last.replace(day=1) + timedelta(days=32)).replace(day=1)
    return dg.MonthlyPartitionsDefinition(feed.start_at.replace(day=1), end_date=next_month)


def days_of(context: dg.AssetExecutionContext) -> tuple[datetime, datetime]:
    """The days of the run's partitions as [first day's start, last day's end)."""
    window = context.partition_time_window
    return window.start.replace(tzinfo=None), window.end.replace(tzinfo=None)


def every_day() -> dict[str, str]:
    """Run tags that name every day of the current home's feed; none where there is no home yet."""
    return _tags(lambda settings, feed: feed.start_at)


def open_days() -> dict[str, str]:
    """Run tags that name the days since the last good build: all that has come since is known in them."""
    return _tags(_last_built_day)


def _tags(first_day: Callable[[Settings, Feed], datetime]) -> dict[str, str]:
    settings = Settings()
    feed = find_feed(settings)
    if feed is None or not Lake.of(settings).exists():
        return {}
    first, last = first_day(settings, feed), _open_day(settings, feed)
    if _by_months(feed, last):
        first, last = first.replace(day=1), last.replace(day=1)
    return {RANGE_START: f"{first:{DAY_FORMAT}}", RANGE_END: f"{last:{DAY_FORMAT}}"}


def _by_months(feed: Feed, last: datetime) -> bool:
    return feed.clock == "log" and last - feed.start_at >= BY_MONTHS_FROM


def _last_built_day(settings: Settings, feed: Feed) -> datetime:
    with Lake.of(settings).read() as con:
        row = con.execute("select date_trunc('day', max(sealed_until)) from features.builds").fetchone()
    return row[0] if row and row[0] else feed.start_at


def _open_day(settings: Settings, feed: Feed) -> datetime:
    """The last day that has begun, or for a log the last one that it holds."""
    lake = Lake.of(settings)
    if not lake.exists():
        return feed.start_at
    with lake.read() as con:
        instant = now(con, feed) - timedelta(microseconds=1 if feed.clock == "log" else 0)
    return day_of(instant)
