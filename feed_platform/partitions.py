"""Daily partitions: the UTC days of `known_at`, from the feed's start to its open day."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg

from feed_platform.feed import Feed, feed_path, load_feed
from feed_platform.lake import Lake, now
from feed_platform.lake.seal import DAY, day_of
from feed_platform.settings import Settings

DAY_FORMAT = "%Y-%m-%d"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def daily_partitions() -> dg.DailyPartitionsDefinition:
    """The current home's days; the last 30 where there is no home yet."""
    settings = Settings()
    if not feed_path(settings).exists():
        return dg.DailyPartitionsDefinition(f"{datetime.now(UTC) - 30 * DAY:{DAY_FORMAT}}", end_offset=1)
    feed = load_feed(settings)
    if feed.clock == "live":
        return dg.DailyPartitionsDefinition(feed.start_at, end_offset=1)
    return dg.DailyPartitionsDefinition(feed.start_at, end_date=_open_day(settings, feed) + DAY)


def days_of(context: dg.AssetExecutionContext) -> tuple[datetime, datetime]:
    """The run's days as [first day's start, last day's end)."""
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
    if not (feed_path(settings).exists() and Lake.of(settings).exists()):
        return {}
    feed = load_feed(settings)
    first, last = first_day(settings, feed), _open_day(settings, feed)
    return {RANGE_START: f"{first:{DAY_FORMAT}}", RANGE_END: f"{last:{DAY_FORMAT}}"}


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
