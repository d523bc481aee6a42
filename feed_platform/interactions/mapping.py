"""`feed import`: a log of one's own through a mapping file."""

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from feed_platform.feed import Feed, FeedError, MappingSource, feed_path, load_feed, save_feed
from feed_platform.interactions.batch import Counts, Mode
from feed_platform.interactions.ingest import ingest
from feed_platform.interactions.mapped import MappedLog, Progress, first_and_last
from feed_platform.interactions.mapping_model import Mapping, check_columns, load_mapping
from feed_platform.interactions.merge import Days
from feed_platform.interactions.staging import CLOCK_SKEW
from feed_platform.lake import Lake
from feed_platform.lake.seal import DAY
from feed_platform.settings import Settings

IN_ROW_WINDOW_SECONDS = 60
SAMPLE = "sample:open_bandit"


def open_bandit_mapping() -> Path:
    """The mapping file of the shipped Open Bandit sample."""
    return Path(str(files("feed_platform.interactions"))) / "samples" / "open_bandit" / "mapping.yaml"


def import_mapping(
    settings: Settings,
    path: Path | str,
    *,
    mode: Mode | None = None,
    as_history: bool = False,
    progress: Progress | None = None,
    days: Days | None = None,
    imported_at: datetime | None = None,
) -> Counts:
    """Import the log that a mapping file describes; a home's first import also writes `feed.toml`.

    Args:
        path: the mapping file, or `sample:open_bandit`.
        mode: default: the mapping's, else history for a home's first import and live after that.
        as_history: accept a history's rows below the seal.
        progress: hears each file and how many of its rows have been read.
        days: bring in only events known in [first, end), in UTC.
        imported_at: default: now.

    Raises:
        FeedError: the mapping, a file or the home's state forbids it; nothing changed.
    """
    file = open_bandit_mapping() if str(path) == SAMPLE else Path(path).expanduser().absolute()
    at = imported_at or datetime.now(UTC).replace(tzinfo=None)
    mapping = load_mapping(file)
    log = MappedLog(mapping, file, progress)
    known = load_feed(settings) if feed_path(settings).exists() else None
    mode = mode or mapping.mode or ("live" if known else "history")
    feed = known or _declared(log, mode, at)
    check_columns(mapping, feed, file)
    lake = Lake.of(settings)
    counts = ingest(
        lake,
        feed,
        log.batches(),
        mode=mode,
        source=mapping.name,
        imported_at=at,
        as_history=as_history,
        days=days,
    )
    feed = _clocked(_with_source(feed, file, mode), lake, mode, at)
    if feed != known:
        save_feed(settings, feed)
    return counts


def _declared(log: MappedLog, mode: Mode, at: datetime) -> Feed:
    """The feed that a home's first import declares."""
    mapping, declared = log.mapping, log.mapping.feed
    given = declared.model_dump(exclude_none=True, exclude={"attributes"})
    attributes = {"attributes": declared.attributes}
    check_columns(mapping, Feed(**{"start": at.date(), **given}, **attributes), log.path)
    span = first_and_last(log, at + CLOCK_SKEW)
    if span is None and declared.start is None:
        raise FeedError(f"{log.path}: feed.start is needed: the log holds no event with a time")
    first, last = span or (at, at)
    is_old = mode == "history" and at - last > DAY
    defaults = {
        "name": mapping.name,
        "start": first.date(),
        "clock": "log" if is_old else "live",
        **({"label_window_seconds": IN_ROW_WINDOW_SECONDS} if _is_in_row(mapping) else {}),
    }
    return Feed(**{**defaults, **given}, **attributes)


def _is_in_row(mapping: Mapping) -> bool:
    """Whether all engagements stand inside their impression's row."""
    return not mapping.engagements and any(one.engagements_in_row for one in mapping.impressions)


def _with_source(feed: Feed, file: Path, mode: Mode) -> Feed:
    path = SAMPLE if file == open_bandit_mapping() else str(file)
    source = MappingSource(path=path, mode=mode)
    others = [one for one in feed.sources if not (isinstance(one, MappingSource) and one.path == path)]
    return feed if source in feed.sources else feed.model_copy(update={"sources": (*others, source)})


def _clocked(feed: Feed, lake: Lake, mode: Mode, at: datetime) -> Feed:
    """A log's clock stands still until live events arrive."""
    if feed.clock == "live" or mode == "history":
        return feed
    with lake.read() as con:
        row = con.execute("select max(known_at) from raw.impressions").fetchone()
    is_fresh = row is not None and row[0] is not None and row[0] > at - DAY
    return feed.model_copy(update={"clock": "live"}) if is_fresh else feed
