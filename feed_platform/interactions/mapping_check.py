"""`feed import --check`: what an import would do, what the log lacks and what that prevents."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from feed_platform.feed import Feed, feed_path, load_feed
from feed_platform.interactions.batch import RAW_TABLES, Counts, Mode
from feed_platform.interactions.mapping import import_mapping
from feed_platform.interactions.merge import quoted
from feed_platform.interactions.negatives import POLICY
from feed_platform.interactions.reading import Progress
from feed_platform.interactions.schemas import RAW, payload_types
from feed_platform.lake import Lake
from feed_platform.settings import Settings

SHOWN_BAD_ROWS = 5
NOT_COVERED = ("received_at",)


@dataclass(frozen=True)
class TableFacts:
    """One raw table after the trial: rows, distinct entities, first and last time, filled share by column."""

    rows: int
    users: int | None
    posts: int | None
    first: Any
    last: Any
    coverage: dict[str, float]
    bad: list[tuple[str, int, str]]


@dataclass(frozen=True)
class Check:
    """What an import would do; printable.

    Attributes:
        counts: as the import would give them.
        tables: facts by raw table, of those that have rows or bad rows.
        events: engagements by event type.
        gaps: what the log lacks, each with what that prevents.
        feed: the `feed.toml` that would be written.
        notes: where the mapping differs from `feed.toml`.
    """

    counts: Counts
    tables: dict[str, TableFacts]
    events: dict[str, int]
    gaps: list[str]
    feed: str
    notes: list[str]

    def __str__(self) -> str:
        parts = ["Would be imported, into an empty lake:", _indented(str(self.counts))]
        for name, facts in self.tables.items():
            parts += ["", *_table_lines(name, facts)]
        if self.events:
            events = (f"{kind} {rows:,}" for kind, rows in self.events.items())
            parts += ["", "event types", _indented(", ".join(events))]
        parts += ["", "What is missing, and what that prevents:"]
        parts += [f"  - {gap}" for gap in self.gaps] or ["  nothing"]
        parts += ["", *self.notes, "feed.toml would be:", _indented(self.feed)]
        return "\n".join(parts)


def check_mapping(
    settings: Settings, path: Path | str, *, mode: Mode | None = None, progress: Progress | None = None
) -> Check:
    """Run an import in a throw-away lake and say what came of it; the home stays as it is.

    Raises:
        FeedError: as the import would.
    """
    notes: list[str] = []
    there = settings.root / "tmp"
    with tempfile.TemporaryDirectory(prefix="check-", dir=there if there.is_dir() else None) as folder:
        trial = settings.model_copy(update={"home": Path(folder), "lake_catalog": None, "lake_data": None})
        if feed_path(settings).exists():
            shutil.copy(feed_path(settings), feed_path(trial))
        counts = import_mapping(trial, path, mode=mode, progress=progress, note=notes.append)
        feed = load_feed(trial)
        with Lake.of(trial).read() as con:
            return _checked(con, feed, counts, feed_path(trial).read_text(), notes)


def _checked(
    con: duckdb.DuckDBPyConnection, feed: Feed, counts: Counts, text: str, notes: list[str]
) -> Check:
    read = [name for name in RAW_TABLES if counts.table(name).read]
    tables = {name: _facts(con, name, feed) for name in read}
    events = dict(
        con.execute("select event_type, count(*) from raw.engagements group by 1 order by 2 desc").fetchall()
    )
    return Check(counts, tables, events, list(_gaps(con, feed, tables, events)), text.strip(), notes)


def _facts(con: duckdb.DuckDBPyConnection, name: str, feed: Feed) -> TableFacts:
    table = RAW[name]
    columns = [column for column in payload_types(table, feed) if column not in NOT_COVERED]
    filled = ", ".join(f"count({quoted(column)})" for column in columns)
    times = f"min({table.time}), max({table.time})" if table.time else "null, null"
    who = [f"count(distinct {one})" if one in columns else "null" for one in ("user_id", "post_id")]
    found = con.execute(f"select count(*), {', '.join(who)}, {times}, {filled} from raw.{name}").fetchone()
    assert found is not None
    rows, users, posts, first, last, *counts = found
    coverage = {column: count / max(rows, 1) for column, count in zip(columns, counts, strict=True)}
    bad = con.execute(
        f"select file, row, reason from quarantine.{name} order by file, row limit {SHOWN_BAD_ROWS}"
    ).fetchall()
    return TableFacts(rows, users, posts, first, last, coverage, bad)


def _table_lines(name: str, facts: TableFacts) -> Iterator[str]:
    yield name
    span = f", {facts.first} to {facts.last} UTC" if facts.first else ""
    entities = (("users", facts.users), ("posts", facts.posts))
    who = "".join(f", {count:,} {what}" for what, count in entities if count is not None)
    yield f"  {facts.rows:,} rows{who}{span}"
    yield "  filled: " + ", ".join(
        f"{column} {share:.0%}" for column, share in facts.coverage.items() if share
    )
    empty = [column for column, share in facts.coverage.items() if not share]
    if empty:
        yield f"  empty: {', '.join(empty)}"
    for file, row, reason in facts.bad:
        yield f"  bad row {row} of {file}: {reason}"


def _gaps(
    con: duckdb.DuckDBPyConnection, feed: Feed, tables: dict[str, TableFacts], events: dict[str, int]
) -> Iterator[str]:
    yield from _shown_gaps(con, tables)
    for objective in feed.objectives:
        if not events.get(objective.event):
            yield (
                f"no {objective.event}, which feed.objectives names: it has no positive label to learn "
                f"from; the log has {', '.join(events) or 'no engagements'}"
            )
    yield from _entity_gaps(tables)


def _shown_gaps(con: duckdb.DuckDBPyConnection, tables: dict[str, TableFacts]) -> Iterator[str]:
    shown = tables.get("impressions")
    if shown is None or not shown.rows:
        yield (
            "no impressions: rates, labels, training and off-policy evaluation can't be computed, only "
            "counters of engagements. Map the log of what was shown, or let the mapping draw impressions: "
            "sampled_negatives: {per_engagement: 4, seed: 7}"
        )
        return
    if _one(con, f"select count(*) from raw.impressions where policy = '{POLICY}'"):
        yield (
            "impressions are drawn (policy sampled_negatives), not observed: rates are those of the sample, "
            "and there is no off-policy evaluation"
        )
    yield from _partial_gaps(shown)
    if shown.first == shown.last:
        yield "all impressions have one time: train and test can't be split by time"
    twice = "select count(*) - count(distinct (user_id, post_id, shown_at)) from raw.impressions"
    if repeated := _one(con, twice):
        yield f"{repeated:,} impressions repeat the user, post and time of another: they count as often"


def _partial_gaps(shown: TableFacts) -> Iterator[str]:
    prevented = {
        "position": "what stood high can't be told from what was liked (position bias)",
        "request_id": "no NDCG, feeds or expected value: they need to know what was shown together",
        "propensity": "off-policy evaluation is not applicable",
    }
    for column, what in prevented.items():
        share = shown.coverage[column]
        if share < 1:
            yield f"{column}: {'none' if not share else f'only {share:.1%} of the impressions'}: {what}"


def _entity_gaps(tables: dict[str, TableFacts]) -> Iterator[str]:
    posts, users = tables.get("posts"), tables.get("users")
    if posts is None or not posts.rows:
        yield "no posts: no ages, topics, authors or attributes; a new post has nothing to be ranked by"
    else:
        prevented = {
            "created_at": "ages of posts",
            "topic": "counters by topic and by user and topic",
            "author_id": "counters by author and by user and author",
        }
        for column, what in prevented.items():
            if not posts.coverage[column]:
                yield f"posts.{column}: none: no {what}"
    if users is None or not users.rows:
        yield "no users: no attributes of users; ids in the events are enough for counters"


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    assert row is not None
    return int(row[0])


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in text.splitlines())
