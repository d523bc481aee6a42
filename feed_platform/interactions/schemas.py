"""What a good row of each raw table is: columns, types, ranges, as SQL."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from feed_platform.feed import AttributeKind, Feed
from feed_platform.lake.contract import TABLES

MAX_ID = 64
SET_BY_IMPORT = ("known_at", "source")
DEFAULTS = {"surface": "home"}
MAY_LIE_AHEAD = ("removed_at",)
ATTRIBUTE_TYPES: dict[AttributeKind, str] = {"category": "VARCHAR", "number": "DOUBLE", "list": "VARCHAR[]"}


@dataclass(frozen=True)
class Rule:
    """What a cell must satisfy, as SQL of `{0}`, and what is said of one that doesn't."""

    holds: str
    reason: str


@dataclass(frozen=True)
class Column:
    """A column of a raw table: its name, its SQL type, whether it may be missing, its rules."""

    name: str
    kind: str
    is_required: bool
    rules: tuple[Rule, ...]


RULES = {
    "position": (Rule("{0} >= 1", "is below 1"),),
    "propensity": (Rule("{0} > 0 and {0} <= 1", "is outside (0, 1]"),),
    "propensity_kind": (Rule("{0} in ('marginal', 'conditional')", "is neither marginal nor conditional"),),
    "value": (Rule("{0} >= 0", "is below 0"),),
}


@dataclass(frozen=True)
class RawTable:
    """A raw table: its key, the event's own time (none: rows are versions), what may not be missing."""

    name: str
    key: str
    time: str | None
    required: tuple[str, ...]

    @property
    def is_event(self) -> bool:
        """Events happen once; users and posts have versions."""
        return self.time is not None


RAW = {
    "users": RawTable("users", "user_id", None, ("user_id",)),
    "posts": RawTable("posts", "post_id", None, ("post_id",)),
    "impressions": RawTable(
        "impressions", "impression_id", "shown_at", ("impression_id", "user_id", "post_id", "shown_at")
    ),
    "engagements": RawTable(
        "engagements",
        "engagement_id",
        "occurred_at",
        ("engagement_id", "user_id", "post_id", "event_type", "occurred_at"),
    ),
}


def payload_types(table: RawTable, feed: Feed) -> dict[str, str]:
    """A raw table's columns and SQL types, attributes included, without those that the import sets."""
    declared = (column.split() for column in TABLES[f"raw.{table.name}"].split(","))
    fixed = {name: kind for name, kind in declared if name not in SET_BY_IMPORT}
    attributes = attributes_of(table, feed).items()
    return fixed | {name: ATTRIBUTE_TYPES[kind] for name, kind in attributes}


def input_types(table: RawTable, feed: Feed) -> dict[str, str]:
    """The columns that a batch may bring: users and posts of a history may say when they were known."""
    known_at = {} if table.is_event else {"known_at": "TIMESTAMP"}
    return payload_types(table, feed) | known_at


def attributes_of(table: RawTable, feed: Feed) -> dict[str, AttributeKind]:
    """The attributes that `feed.toml` declares for a table."""
    return {"users": feed.attributes.users, "posts": feed.attributes.posts}.get(table.name, {})


def described(
    table: RawTable, feed: Feed, latest: datetime, earliest: datetime | None = None
) -> tuple[Column, ...]:
    """What a good row of a table is, column by column: the one description that every check derives from.

    Args:
        latest: times after it lie in the future (UTC, naive).
        earliest: the table's own time may not lie before it.
    """
    return tuple(
        Column(name, kind, name in table.required, tuple(_rules(table, name, kind, feed, latest, earliest)))
        for name, kind in input_types(table, feed).items()
    )


def _rules(
    table: RawTable, name: str, kind: str, feed: Feed, latest: datetime, earliest: datetime | None
) -> Iterator[Rule]:
    if name in attributes_of(table, feed):
        return
    if name.endswith("_id"):
        yield Rule(f"length({{0}}) <= {MAX_ID}", f"is longer than {MAX_ID} characters")
    if kind == "TIMESTAMP" and name not in MAY_LIE_AHEAD:
        yield Rule(f"{{0}} <= {instant_literal(latest)}", "is in the future")
    if earliest is not None and name == table.time:
        yield Rule(f"{{0}} >= {instant_literal(earliest)}", "is before the feed's start")
    if name == "event_type":
        yield Rule(f"{{0}} in ({_listed(feed.event_types)})", "is not one of the feed's event types")
    yield from RULES.get(name, ())


def record_sql(columns: Iterable[str]) -> str:
    """SQL of a row's cells as JSON."""
    cells = ", ".join(f"{literal(name)}: {quoted(name)}" for name in columns)
    return f"to_json({{{cells}}})::varchar"


def quoted(name: str) -> str:
    """A column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def instant_literal(instant: datetime) -> str:
    """An instant (UTC, naive) as SQL writes it."""
    return f"timestamp '{instant.isoformat(sep=' ')}'"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(map(literal, words)) or "null"
