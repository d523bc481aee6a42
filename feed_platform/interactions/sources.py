"""Everything that comes into a feed: its declared sources, then the service's logs, then the seal."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from feed_platform.feed import Feed, MappingSource, SimulatorSource, Source, save_feed
from feed_platform.interactions.batch import RAW_TABLES, Counts, TableCounts
from feed_platform.interactions.ingest import ingest
from feed_platform.interactions.log_import import LogCounts, import_logs
from feed_platform.interactions.mapping import import_mapping
from feed_platform.interactions.merge import Days
from feed_platform.interactions.simulator import (
    SIMULATOR_ATTRIBUTES,
    arrivals,
    simulate_day,
    simulated_slates,
    store_slates,
)
from feed_platform.lake import Lake, as_of_now, seal
from feed_platform.lake.connection import version_of
from feed_platform.lake.seal import DAY, move_seal
from feed_platform.settings import Settings


@dataclass(frozen=True)
class Ingested:
    """What an import of all sources did.

    Attributes:
        raw: counts by raw table, over sources and logs.
        logs: what the service's logs gave.
        sealed_until: the seal after it.
        lake_version: the lake's version after it.
    """

    raw: dict[str, TableCounts]
    logs: LogCounts
    sealed_until: datetime
    lake_version: int


def init_simulated_feed(settings: Settings, source: SimulatorSource, *, today: date | None = None) -> Feed:
    """Write the `feed.toml` of a simulated feed whose last day is yesterday (UTC)."""
    last_midnight = today or datetime.now(UTC).date()
    feed = Feed(
        name="simulated",
        start=last_midnight - timedelta(days=source.days),
        attributes=SIMULATOR_ATTRIBUTES,
        sources=(source,),
    )
    save_feed(settings, feed)
    return feed


def ingest_sources(
    settings: Settings,
    lake: Lake,
    feed: Feed,
    start: datetime,
    end: datetime,
    imported_at: datetime | None = None,
) -> Ingested:
    """Bring in the sources' days [start, end) and all that the service has logged; again, nothing new.

    The seal moves with them, unless the days all lie in the past: filling these in, one after
    another, leaves the present open.

    Args:
        imported_at: the time of the import (UTC, naive), default now; what a simulated day would
            hold after it isn't there yet.

    Raises:
        FeedError: a source can't be read, or has new rows from before the seal.
    """
    at = imported_at or datetime.now(UTC).replace(tzinfo=None)
    counted = [_ingest_source(settings, lake, feed, source, (start, end), at) for source in feed.sources]
    with lake.write("import logs", {"imported_at": at}) as con:
        logs = import_logs(con, settings, feed, at)
        current = _clocked(settings, feed, logs)
        is_present = end > as_of_now(con, current)
        sealed_until = move_seal(con, current) if is_present else seal(con, current)
    with lake.read() as con:
        version = version_of(con)
    return Ingested(_by_table([*counted, logs.feedback, logs.upserts]), logs, sealed_until, version)


def _ingest_source(
    settings: Settings, lake: Lake, feed: Feed, source: Source, days: Days, at: datetime
) -> Counts:
    if isinstance(source, MappingSource):
        return import_mapping(settings, source.path, mode=source.mode, days=days, imported_at=at)
    return _ingest_simulated(lake, feed, source, days, at)


def _ingest_simulated(lake: Lake, feed: Feed, source: SimulatorSource, days: Days, at: datetime) -> Counts:
    name, numbers = f"simulator-{source.seed}", _simulated_days(source, feed, days, at)
    if source.keeps_slates and numbers:
        with lake.write(f"import slates of {name}", {"imported_at": at}) as con:
            for number in numbers:
                store_slates(con, simulated_slates(source, feed.start, number), at)
    if source.mode == "live":
        batches = arrivals(source, feed.start, days[0], min(days[1], at))
        return ingest(lake, feed, batches, mode="live", source=name, imported_at=at)
    batches = (simulate_day(source, feed.start, number) for number in numbers)
    return ingest(lake, feed, batches, mode="history", source=name, imported_at=at) if numbers else Counts()


def _simulated_days(source: SimulatorSource, feed: Feed, days: Days, at: datetime) -> range:
    """The simulated days that begin in [start, end); of a history those that have ended."""
    first, past_last = ((min(day, at) - feed.start_at) // DAY for day in days)
    if source.mode == "live":
        past_last += 1
    return range(max(first, 0), min(past_last, source.days))


def _clocked(settings: Settings, feed: Feed, logs: LogCounts) -> Feed:
    """A log's clock stands still until live events arrive: from then on it is the machine's."""
    is_live = any(logs.feedback.table(name).inserted for name in RAW_TABLES)
    if feed.clock == "live" or not is_live:
        return feed
    live = feed.model_copy(update={"clock": "live"})
    save_feed(settings, live)
    return live


def _by_table(counted: list[Counts]) -> dict[str, TableCounts]:
    return {name: _total([counts.table(name) for counts in counted]) for name in RAW_TABLES}


def _total(parts: list[TableCounts]) -> TableCounts:
    total = TableCounts()
    for part in parts:
        total.read += part.read
        total.inserted += part.inserted
        total.known += part.known
        total.quarantined += part.quarantined
        total.reasons += part.reasons
    return total
