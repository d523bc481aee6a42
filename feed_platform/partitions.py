"""Daily partitions: the UTC days of `known_at`, from the feed's start to its open day."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from feed_platform.feed import Feed, FeedError, load_feed
from feed_platform.lake import Lake, now
from feed_platform.settings import Settings

DAY = timedelta(days=1)
DAY_FORMAT = "%Y-%m-%d"


def daily_partitions() -> dg.DailyPartitionsDefinition:
    """The current home's days; the last 30 where there is no home yet."""
    settings = Settings()
    try:
        feed = load_feed(settings)
    except FeedError:
        return dg.DailyPartitionsDefinition(datetime.now(UTC) - 30 * DAY, end_offset=1)
    if feed.clock == "live":
        return dg.DailyPartitionsDefinition(feed.start_at, end_offset=1)
    return dg.DailyPartitionsDefinition(feed.start_at, end_date=_open_day(settings, feed) + DAY)


def days_of(context: dg.AssetExecutionContext, settings: Settings, feed: Feed) -> tuple[datetime, datetime]:
    """The run's days as [first day's start, last day's end); every day of the feed where it names none."""
    if context.has_partition_key or context.has_partition_key_range:
        window = context.partition_time_window
        return window.start.replace(tzinfo=None), window.end.replace(tzinfo=None)
    return feed.start_at, _open_day(settings, feed) + DAY


def _open_day(settings: Settings, feed: Feed) -> datetime:
    """The last day that has begun, or for a log the last one that it holds."""
    lake = Lake.of(settings)
    if not lake.exists():
        return feed.start_at
    with lake.read() as con:
        instant = now(con, feed) - timedelta(microseconds=1 if feed.clock == "log" else 0)
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)
