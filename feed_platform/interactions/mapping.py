"""`feed import`: a log of one's own through a mapping file."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from feed_platform.feed import Feed, FeedError, MappingSource, feed_path, load_feed, save_feed
from feed_platform.interactions.batch import Counts, Mode
from feed_platform.interactions.declared import Span, declared_feed, extended_feed
from feed_platform.interactions.ingest import ingest
from feed_platform.interactions.mapped import MappedLog
from feed_platform.interactions.mapping_file import check_columns, load_mapping
from feed_platform.interactions.mapping_model import Mapping
from feed_platform.interactions.merge import Days
from feed_platform.interactions.reading import Progress, Reading
from feed_platform.interactions.staging import CLOCK_SKEW, PREFIX
from feed_platform.lake import Lake
from feed_platform.lake.seal import DAY
from feed_platform.settings import Settings

SAMPLE = "sample:open_bandit"

Note = Callable[[str], None]


def open_bandit_mapping() -> Path:
    """The mapping file of the shipped Open Bandit sample."""
    return Path(str(files("feed_platform.interactions"))) / "samples" / "open_bandit" / "mapping.yaml"


def import_mapping(  # noqa: PLR0913
    settings: Settings,
    path: Path | str,
    *,
    mode: Mode | None = None,
    as_history: bool = False,
    progress: Progress | None = None,
    note: Note | None = None,
    days: Days | None = None,
    imported_at: datetime | None = None,
) -> Counts:
    """Import the log that a mapping file describes.

    A home's first import also writes `feed.toml`; a later one adds its attributes and event types.

    Args:
        path: the mapping file, or `sample:open_bandit`.
        mode: default: the mapping's, else history for a home's first import and live after that.
        as_history: accept a history's rows below the seal.
        progress: hears the file that is being read, and how many bytes of how many are done.
        note: hears what of the mapping no longer holds.
        days: bring in only events known in [first, end), in UTC.
        imported_at: default: now.

    Raises:
        FeedError: the mapping, a file or the home's state forbids it; nothing changed.
    """
    file = mapping_path(path)
    at = imported_at or datetime.now(UTC).replace(tzinfo=None)
    mapping = load_mapping(file)
    known = load_feed(settings) if feed_path(settings).exists() else None
    mode = mode or mapping.mode or ("live" if known else "history")
    lake = Lake.of(settings)
    with _scratch(lake.temp) as scratch:
        log = MappedLog(mapping, file, scratch)
        feed, differing = _feed_of(log, known, mode, at)
        for difference in differing if note else ():
            note(f"{difference}, which holds")  # type: ignore[misc]
        reading = Reading(progress or _unheard, log.size_of)
        with reading.told() if progress else nullcontext():
            counts = ingest(
                lake,
                feed,
                reading.relations(log.relations(feed)),
                mode=mode,
                source=mapping.name,
                imported_at=at,
                as_history=as_history,
                days=days,
                watch=reading.watch if progress else None,
            )
        counts.excluded = log.excluded(feed)
    feed = _clocked(_with_source(feed, file, mode, mapping, counts.excluded), lake, mode, at)
    if feed != known:
        save_feed(settings, feed)
    return counts


def mapping_path(path: Path | str) -> Path:
    """The file that `path` names; `sample:open_bandit` is the shipped one."""
    return open_bandit_mapping() if str(path) == SAMPLE else Path(path).expanduser().absolute()


def _unheard(label: str, done: int, total: int) -> None:
    """Nobody listens."""


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=folder) as name:
        yield Path(name)


def _feed_of(log: MappedLog, known: Feed | None, mode: Mode, at: datetime) -> tuple[Feed, list[str]]:
    """The feed that the import goes into, and where the mapping differs from it."""
    mapping, differing = log.mapping, list[str]()
    try:
        if known is None:
            check_columns(mapping, declared_feed(mapping, mode, at, None), log.path)
            feed = declared_feed(mapping, mode, at, _span(log, mode, at))
        else:
            is_source = any(str(mapping_path(one)) == str(log.path) for one in _paths(known))
            feed, differing = extended_feed(known, mapping, is_source=is_source)
    except FeedError as error:
        where = str(log.path)
        raise error if where in str(error) else FeedError(f"{where}: {error}") from error
    check_columns(mapping, feed, log.path)
    return feed, differing


def _paths(feed: Feed) -> list[str]:
    return [one.path for one in feed.sources if isinstance(one, MappingSource)]


def _span(log: MappedLog, mode: Mode, at: datetime) -> Span | None:
    """The log's first and last time, unless nothing depends on them."""
    declared = log.mapping.feed
    if declared.start is not None and (mode == "live" or declared.clock is not None):
        return None
    feed = declared_feed(log.mapping, mode, at, None)
    span = log.first_and_last(feed, at + CLOCK_SKEW)
    if span is None and declared.start is None:
        raise FeedError("feed.start is needed: the log holds no event with a time from 1990 on")
    return span


def _with_source(feed: Feed, file: Path, mode: Mode, mapping: Mapping, excluded: Counter[str]) -> Feed:
    path = SAMPLE if file == open_bandit_mapping() else str(file)
    sampled = mapping.sampled_negatives
    source = MappingSource(
        path=path,
        mode=mode,
        excluded=dict(excluded) or None,
        sampled_negatives=sampled.model_dump() if sampled else None,
    )
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
