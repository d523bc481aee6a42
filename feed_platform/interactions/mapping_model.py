"""The mapping file: which file and column of a log is which column of the raw tables."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from feed_platform.feed import Attributes, Feed, Objective, Part
from feed_platform.interactions.batch import RAW_TABLES, Mode
from feed_platform.interactions.schemas import RAW, RawTable, input_types

ATTRIBUTE_NAME = r"[a-z][a-z0-9_]*"
MAX_DELIMITER_BYTES = 4
Format = Literal["csv", "parquet", "jsonl"]
TimeUnit = Literal["s", "ms", "us"]
COMPRESSED = (".gz", ".zst", ".zstd", ".bz2", ".xz", ".lzma")
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".inter": "csv",
    ".user": "csv",
    ".item": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
TAB_SEPARATED = (".tsv", ".inter", ".user", ".item")
QUOTING_DELIMITERS = (",", ";")


def _as_name(value: Any) -> Any:
    """A column of a file without a header is named by its number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else [value]


def _as_text(value: Any) -> Any:
    """YAML makes booleans and dates of what files hold as text."""
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else value


Name = Annotated[str, BeforeValidator(_as_name, json_schema_input_type=str | int)]
Scalar = Annotated[
    str | int | float, BeforeValidator(_as_text, json_schema_input_type=str | int | float | bool)
]


class Hash(Part):
    """The MD5 (hex) of several source columns together."""

    hash: tuple[Name, ...] = Field(min_length=1)


class Concat(Part):
    """Several source columns joined by `:`; null where one of them is."""

    concat: tuple[Name, ...] = Field(min_length=1)


class Times(Part):
    """How cells say a time that is neither ISO 8601 nor an epoch number of usual size."""

    time_format: str | None = Field(None, description="strptime pattern, e.g. '%m/%d/%Y %I:%M:%S %p'.")
    time_zone: str | None = Field(
        None, description="Zone of local times that name none, e.g. Europe/Berlin; default: UTC."
    )
    time_unit: TimeUnit | None = Field(
        None, description="Unit of numbers; default: s, ms or us, whichever lies in our time."
    )
    time_origin: datetime | None = Field(
        None, description="The instant that numbers count from (needs time_unit); default: 1970."
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
            raise ValueError(f"{value!r} is not an IANA time zone such as Europe/Berlin")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.time_origin is not None and self.time_unit is None:
            raise ValueError("time_origin needs time_unit: s, ms or us")
        return self


class Cell(Times):
    """A source column, read in a particular way."""

    column: Name
    split: str | None = Field(None, min_length=1, description="The cell is a list; this stands between.")
    take: int | None = Field(None, ge=1, description="Only this element of the list, from 1.")
    values: dict[Name, Scalar] = Field({}, description="Source value: value to store; others stay.")


SHAPES: dict[str, type[Part]] = {"hash": Hash, "concat": Concat, "column": Cell}


def _shape(value: Any) -> str | None:
    """Which of the four ways to fill a column a value is."""
    if isinstance(value, str | int):
        return "name"
    if isinstance(value, dict):
        return next((shape for shape in SHAPES if shape in value), None)
    return next((shape for shape, kind in SHAPES.items() if isinstance(value, kind)), None)


Column = Annotated[
    Annotated[Name, Tag("name")]
    | Annotated[Hash, Tag("hash")]
    | Annotated[Concat, Tag("concat")]
    | Annotated[Cell, Tag("column")],
    Discriminator(
        _shape,
        custom_error_type="column",
        custom_error_message="give a source column, {column: name, …}, {hash: [columns]} "
        "or {concat: [columns]}",
    ),
]


class Condition(Part):
    """A test of one source column; an empty cell passes none but `missing`."""

    column: Name
    equals: (
        Annotated[
            tuple[Scalar, ...],
            BeforeValidator(_as_list, json_schema_input_type=Scalar | tuple[Scalar, ...]),
        ]
        | None
    ) = Field(None, description="A value, or a list of values.")
    matches: str | None = Field(None, description="Regular expression (RE2), found anywhere in the cell.")
    in_file: str | None = Field(None, description="A file with one value a line, relative to this file.")
    at_least: float | None = None
    at_most: float | None = None
    missing: Literal[True] | None = Field(None, description="The cell is empty.")

    @model_validator(mode="after")
    def _tests_something(self) -> Self:
        if not self.model_fields_set - {"column"}:
            raise ValueError("say what to test: equals, matches, in_file, at_least, at_most or missing")
        return self

    def __str__(self) -> str:
        tests = self.model_dump(exclude={"column"}, exclude_none=True)
        said = (f"{name} {_plain(value)}" for name, value in tests.items())
        return f"{self.column} {' and '.join(said)}"


Conditions = Annotated[
    tuple[Condition, ...],
    BeforeValidator(_as_list, json_schema_input_type=Condition | tuple[Condition, ...]),
]


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


class InRow(Part):
    """An engagement that stands in a column of its impression's row: 0/1, true/false, a value, a rating."""

    event_type: str
    column: Name
    at_least: float | None = Field(None, description="It happened where the number is at least this.")
    at_most: float | None = Field(None, description="It happened where the number is at most this.")
    value: Name | None = Field(None, description="Column of the event's value; may be the same one.")
    occurred_at: Name | None = Field(None, description="Column of its own time; default: shown_at.")

    @property
    def is_threshold(self) -> bool:
        """Whether a number decides, and not a yes or no."""
        return self.at_least is not None or self.at_most is not None


class ListCell(Part):
    """A column whose cells hold several values: delimited text, an array's text, or a native list."""

    column: Name
    split: str | None = Field(None, min_length=1, description="What stands between; default: an array.")


def _as_list_cell(value: Any) -> Any:
    return {"column": value} if isinstance(value, str | int) else value


Several = Annotated[ListCell, BeforeValidator(_as_list_cell, json_schema_input_type=str | int | ListCell)]


class Slate(Part):
    """Several impressions in one row, in the order of their positions.

    Which of them were engaged with stands after each id (`label_after`), in a list of the same
    length (`labels`), or in a list of ids (`engaged`).
    """

    post_id: Several
    propensity: Several | None = Field(None, description="Propensities, in the same order.")
    event_type: str = "click"
    label_after: str | None = Field(None, min_length=1, description="'-' for N55689-1: what precedes 0/1.")
    labels: Several | None = Field(None, description="0 or 1 for each post, in the same order.")
    engaged: Several | None = Field(None, description="The ids of the posts engaged with.")


class Input(Times):
    """Files of one shape and what their columns mean."""

    files: str = Field(min_length=1, description="A file or a glob, relative to this file.")
    format: Format | None = Field(None, description="Default: by the extension.")
    delimiter: str | None = Field(None, min_length=1, description="Default: tab for .tsv, else a comma.")
    quote: str | None = Field(
        None, max_length=1, description="'' for none. Default: \" where the delimiter is , or ;, else none."
    )
    escape: str | None = Field(None, max_length=1, description="Escapes a quote; default: the quote.")
    header: bool | tuple[str, ...] = Field(
        True, description="false: columns are 1, 2, …; a list: their names, the file has no header."
    )
    skip_lines: int = Field(0, ge=0, description="Lines before the header.")
    encoding: str = Field("utf-8", description="For example latin-1, utf-16, cp1252.")
    decimal: Literal[".", ","] = "."
    null_values: tuple[Name, ...] = Field((), description="Cells that mean nothing is there, e.g. NA.")
    columns: dict[str, Column] = Field(description="Raw column: source column.")
    constants: dict[str, Scalar] = Field({}, description="Raw column: one value for all rows.")
    id_prefix: dict[str, str] = Field({}, description="Id column: text put before each id.")
    where: Conditions = Field((), description="Take only rows that pass all of these.")
    exclude: Conditions = Field(
        (), description="Leave out rows that pass any of these (bots, internal traffic); they are counted."
    )

    @field_validator("delimiter", mode="before")
    @classmethod
    def _tab(cls, value: Any) -> Any:
        return {"\\t": "\t", "tab": "\t"}.get(value, value) if isinstance(value, str) else value

    @field_validator("delimiter")
    @classmethod
    def _short(cls, value: str | None) -> str | None:
        if value is not None and len(value.encode()) > MAX_DELIMITER_BYTES:
            raise ValueError(f"is longer than {MAX_DELIMITER_BYTES} bytes")
        return value

    def format_of(self, path: Path) -> Format | None:
        """The format, by extension unless it is given; a delimiter means CSV."""
        return self.format or SUFFIXES.get(_suffix(path)) or ("csv" if self.delimiter else None)

    def delimiter_of(self, path: Path) -> str:
        """What stands between a CSV file's cells."""
        return self.delimiter or ("\t" if _suffix(path) in TAB_SEPARATED else ",")

    def quote_of(self, path: Path) -> str:
        """What a CSV file's cells may be quoted with; empty for nothing."""
        if self.quote is not None:
            return self.quote
        return '"' if self.delimiter_of(path) in QUOTING_DELIMITERS else ""

    @property
    def given(self) -> set[str]:
        """The raw columns that this input fills."""
        return {*self.columns, *self.constants}


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSED]
    return suffixes[-1] if suffixes else ""


class ImpressionInput(Input):
    """Impressions, which may hold their engagements in their own columns."""

    engagements_in_row: Annotated[
        tuple[InRow, ...], BeforeValidator(_as_list, json_schema_input_type=InRow | tuple[InRow, ...])
    ] = ()
    slate: Slate | None = Field(None, description="One row lists several posts that were shown.")
    context: dict[str, Name] = Field({}, description="Context key: source column; becomes `context`.")

    @property
    def given(self) -> set[str]:
        """The raw columns that this input fills."""
        return super().given | self._made

    @property
    def _made(self) -> set[str]:
        """The raw columns that slate and context fill."""
        listed = set() if self.slate is None else {"post_id", "position"}
        listed |= {"propensity"} if self.slate is not None and self.slate.propensity else set()
        return listed | ({"context"} if self.context else set())

    @property
    def in_row_types(self) -> tuple[str, ...]:
        """The event types that stand inside the rows."""
        listed = () if self.slate is None else (self.slate.event_type,)
        return (*(each.event_type for each in self.engagements_in_row), *listed)

    @model_validator(mode="after")
    def _filled_once(self) -> Self:
        if twice := {*self.columns, *self.constants} & self._made:
            raise ValueError(
                f"{min(twice)} is filled twice: by columns or constants, and by slate or context"
            )
        return self


class SampledNegatives(Part):
    """Impressions for a log that holds only engagements: each post engaged with, and others drawn.

    Drawn uniformly from the posts that existed then and that the user had not engaged with.
    """

    per_engagement: int = Field(4, ge=1, le=100, description="Posts drawn for each engagement, at most.")
    seed: int = 7


class Declarations(Part):
    """What the home's first import writes to `feed.toml`; each default is taken from the log."""

    name: str | None = None
    start: date | None = None
    clock: Literal["live", "log"] | None = None
    label_window_seconds: int | None = Field(None, ge=1)
    label_delay_seconds: int | None = Field(None, ge=0)
    feature_delay_minutes: int | None = Field(None, ge=0)
    event_types: tuple[str, ...] | None = Field(None, min_length=1)
    objectives: tuple[Objective, ...] | None = Field(None, min_length=1)
    attributes: Attributes = Attributes()

    @field_validator("attributes")
    @classmethod
    def _usable_as_columns(cls, attributes: Attributes) -> Attributes:
        for table, names in (("users", attributes.users), ("posts", attributes.posts)):
            for name in names:
                if not re.fullmatch(ATTRIBUTE_NAME, name) or name in input_types(RAW[table], NO_ATTRIBUTES):
                    raise ValueError(
                        f"{table}.{name}: name it with lower-case letters, digits and _, "
                        f"unlike a column of raw.{table}"
                    )
        return attributes


class Mapping(Part):
    """A whole mapping file."""

    name: str = Field(min_length=1, max_length=64, description="Names the log; part of the ids it makes.")
    mode: Mode | None = Field(
        None, description="history: events count from their own time; live: from when they come in."
    )
    feed: Declarations = Declarations()
    users: tuple[Input, ...] = ()
    posts: tuple[Input, ...] = ()
    impressions: tuple[ImpressionInput, ...] = ()
    engagements: tuple[Input, ...] = ()
    sampled_negatives: SampledNegatives | None = None

    @model_validator(mode="after")
    def _negatives_of_engagements(self) -> Self:
        if self.sampled_negatives and (self.impressions or not self.engagements):
            raise ValueError("sampled_negatives is for a log with engagements and no impressions")
        if self.sampled_negatives and any("impression_id" in one.given for one in self.engagements):
            raise ValueError("sampled_negatives makes impression_id: leave it out of engagements")
        return self

    def inputs(self) -> Iterator[tuple[RawTable, str, Input]]:
        """Every input with its table and its place in the file, tables in order of import."""
        for table in RAW_TABLES:
            for place, one in enumerate(getattr(self, table)):
                yield RAW[table], f"{table}[{place}]", one

    def event_types(self) -> tuple[str, ...]:
        """The event types that the file names, each once."""
        named = [kind for one in self.impressions for kind in one.in_row_types]
        for one in self.engagements:
            column = one.columns.get("event_type")
            named += [str(column_value) for column_value in _translated(column)]
            named += [str(one.constants["event_type"])] if "event_type" in one.constants else []
        return tuple(dict.fromkeys(named))


def _translated(column: Any) -> list[Scalar]:
    return list(column.values.values()) if isinstance(column, Cell) else []


NO_ATTRIBUTES = Feed(start=date.min)
