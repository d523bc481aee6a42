"""What a good row of each raw table is: columns, types, ranges, as Pandera schemas."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from feed_platform.feed import AttributeKind, Feed
from feed_platform.interactions.casting import POLARS_TYPES
from feed_platform.lake.contract import TABLES

if TYPE_CHECKING:
    import pandera.polars as pa

MAX_ID = 64
PROPENSITY_KINDS = ("marginal", "conditional")
SET_BY_IMPORT = ("known_at", "source")
DEFAULTS = {"surface": "home"}
MAY_LIE_AHEAD = ("removed_at",)
ATTRIBUTE_TYPES: dict[AttributeKind, str] = {"category": "VARCHAR", "number": "DOUBLE", "list": "VARCHAR[]"}


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


def row_schema(
    table: RawTable, feed: Feed, latest: datetime, earliest: datetime | None = None
) -> "pa.DataFrameSchema":
    """The Pandera schema of a table's rows, for an eager polars frame with every input column.

    Args:
        latest: times after it lie in the future.
        earliest: the table's own time may not lie before it.
    """
    import pandera.polars as pa

    return pa.DataFrameSchema(
        {
            column: pa.Column(
                POLARS_TYPES[kind],
                _checks(table, column, kind, feed, latest)
                + (_not_before(earliest) if earliest and column == table.time else []),
                nullable=column not in table.required,
            )
            for column, kind in input_types(table, feed).items()
        }
    )


def _checks(table: RawTable, column: str, kind: str, feed: Feed, latest: datetime) -> "list[pa.Check]":
    import pandera.polars as pa

    if column in attributes_of(table, feed):
        return []
    if column.endswith("_id"):
        return [pa.Check.str_length(max_value=MAX_ID, error=f"is longer than {MAX_ID} characters")]
    if kind == "TIMESTAMP" and column not in MAY_LIE_AHEAD:
        return [pa.Check.le(latest, error="is in the future")]
    return {
        "position": [pa.Check.ge(1, error="is below 1")],
        "propensity": [pa.Check.in_range(0, 1, include_min=False, error="is outside (0, 1]")],
        "propensity_kind": [pa.Check.isin(PROPENSITY_KINDS, error="is neither marginal nor conditional")],
        "event_type": [pa.Check.isin(feed.event_types, error="is not one of the feed's event types")],
        "value": [pa.Check.ge(0, error="is below 0")],
    }.get(column, [])


def _not_before(earliest: datetime) -> "list[pa.Check]":
    import pandera.polars as pa

    return [pa.Check.ge(earliest, error="is before the feed's start")]
