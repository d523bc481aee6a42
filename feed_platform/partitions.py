"""Daily partitions: the UTC days of `known_at`, from the feed's start to its open day."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from feed_platform.feed import Feed, feed_path, load_feed
from feed_platform.lake import Lake, now
from feed_platform.settings import Settings

DAY = timedelta(days=1)
DAYS_TAG, OPEN_DAYS = "feed/days", "open"


def daily_partitions() -> dg.DailyPartitionsDefinition:
    """The current home's days; the last 30 where there is no home yet."""
    settings = Settings()
    if not feed_path(settings).exists():
        return dg.DailyPartitionsDefinition(f"{datetime.now(UTC) - 30 * DAY:%Y-%m-%d}", end_offset=1)
    feed = load_feed(settings)
    if feed.clock == "live":
        return dg.DailyPartitionsDefinition(feed.start_at, end_offset=1)
    return dg.DailyPartitionsDefinition(feed.start_at, end_date=_open_day(settings, feed) + DAY)


def days_of(context: dg.AssetExecutionContext, settings: Settings, feed: Feed) -> tuple[datetime, datetime]:
    """The run's days as [first day's start, last day's end).

    A run without a partition takes every day of the feed, or with the tag `feed/days: open`
    the days since the last good build: all that has come since is known in them.
    """
    if context.has_partition_key or context.has_partition_key_range:
        window = context.partition_time_window
        return window.start.replace(tzinfo=None), window.end.replace(tzinfo=None)
    only_open = context.run.tags.get(DAYS_TAG) == OPEN_DAYS
    first = _last_built_day(settings, feed) if only_open else feed.start_at
    return first, _open_day(settings, feed) + DAY


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
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)
