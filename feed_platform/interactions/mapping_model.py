"""The mapping file: which file and column of a log is which column of the raw tables."""

import re
from collections.abc import Iterator
from datetime import date
from inspect import isclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag, ValidationError, field_validator

from feed_platform.feed import Attributes, Feed, FeedError, Objective, Part
from feed_platform.interactions.batch import RAW_TABLES, Mode
from feed_platform.interactions.schemas import RAW, RawTable, input_types

ATTRIBUTE_NAME = re.compile(r"[a-z][a-z0-9_]*")
UNKNOWN = "extra_forbidden"
Format = Literal["csv", "parquet", "jsonl"]
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


class Hash(Part):
    """The MD5 (hex) of several source columns together."""

    hash: tuple[str, ...] = Field(min_length=1)


class Concat(Part):
    """Several source columns joined by `:`; null where one of them is."""

    concat: tuple[str, ...] = Field(min_length=1)


def _shape(value: Any) -> str | None:
    """Which of the three ways to fill a column a value is."""
    if isinstance(value, str):
        return "column"
    if isinstance(value, dict) and len(value) == 1:
        return next(iter(value)) if next(iter(value)) in ("hash", "concat") else None
    return "hash" if isinstance(value, Hash) else "concat" if isinstance(value, Concat) else None


Column = Annotated[
    Annotated[str, Tag("column")] | Annotated[Hash, Tag("hash")] | Annotated[Concat, Tag("concat")],
    Discriminator(
        _shape,
        custom_error_type="column",
        custom_error_message="give a source column, {hash: [columns]} or {concat: [columns]}",
    ),
]


class InRow(Part):
    """An engagement that stands in a column of its impression's row: 0/1, true/false or a value."""

    event_type: str
    column: str


class Input(Part):
    """Files of one shape and what their columns mean."""

    files: str = Field(min_length=1)
    format: Format | None = None
    delimiter: str = Field(",", min_length=1, max_length=1)
    columns: dict[str, Column]
    constants: dict[str, str | int | float] = Field({})
    id_prefix: dict[str, str] = Field({})

    def format_of(self, path: Path) -> Format | None:
        """The format, by extension unless it is given."""
        suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
        return self.format or SUFFIXES.get(suffixes[-1].lower() if suffixes else "")

    @property
    def given(self) -> set[str]:
        """The raw columns that this input fills."""
        return {*self.columns, *self.constants}


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class ImpressionInput(Input):
    """Impressions, which may hold their engagements in their own columns."""

    engagements_in_row: Annotated[tuple[InRow, ...], BeforeValidator(_as_list)] = ()


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
                if not ATTRIBUTE_NAME.fullmatch(name) or name in input_types(RAW[table], NO_ATTRIBUTES):
                    raise ValueError(
                        f"{table}.{name}: name it with lower-case letters, digits and _, "
                        f"unlike a column of raw.{table}"
                    )
        return attributes


class Mapping(Part):
    """A whole mapping file."""

    name: str = Field(min_length=1, max_length=64)
    mode: Mode | None = None
    feed: Declarations = Declarations()
    users: tuple[Input, ...] = ()
    posts: tuple[Input, ...] = ()
    impressions: tuple[ImpressionInput, ...] = ()
    engagements: tuple[Input, ...] = ()

    def inputs(self) -> Iterator[tuple[RawTable, str, Input]]:
        """Every input with its table and its place in the file, tables in order of import."""
        for table in RAW_TABLES:
            for place, one in enumerate(getattr(self, table)):
                yield RAW[table], f"{table}[{place}]", one


NO_ATTRIBUTES = Feed(start=date.min)


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        FeedError: it can't be read or isn't valid; names the file, the key and how to mend it.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Mapping.model_validate(content)
    except OSError as error:
        raise FeedError(f"{path}: {error.strerror}: give the path of a mapping file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FeedError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise FeedError(f"{path}: {_explained(error)}") from error


def check_columns(mapping: Mapping, feed: Feed, path: Path) -> None:
    """Check that every input fills what its table needs, and only columns that there are.

    Raises:
        FeedError: names the file, the key and how to mend it.
    """
    if not any(True for _ in mapping.inputs()):
        raise FeedError(f"{path}: names no input: add impressions, engagements, users or posts")
    for table, place, one in mapping.inputs():
        _check_input(table, place, one, feed, path)


def _check_input(table: RawTable, place: str, one: Input, feed: Feed, path: Path) -> None:
    known = input_types(table, feed)
    for key in ("columns", "constants", "id_prefix"):
        for name in getattr(one, key):
            if name not in known:
                attribute = "" if table.is_event else f", or declare it in feed.attributes.{table.name}"
                raise FeedError(
                    f"{path}: {place}.{key}.{name}: not a column of raw.{table.name}: "
                    f"use one of {', '.join(known)}{attribute}"
                )
    missing = [name for name in table.required if name not in one.given and not may_be_made(name, table)]
    if missing:
        raise FeedError(f"{path}: {place}.columns: {missing[0]} is needed: say which column holds it")


def may_be_made(column: str, table: RawTable) -> bool:
    """Whether an id is made from the file and row where the mapping names none."""
    return table.is_event and column == table.key


def _explained(error: ValidationError) -> str:
    """The first mistake; a misspelt key before what is missing without it."""
    first = min(error.errors(), key=lambda one: one["type"] != UNKNOWN)
    where = _key_path([part for part in first["loc"] if part not in ("column", "hash", "concat")])
    if first["type"] == UNKNOWN:
        return f"{where}: unknown key: use one of {', '.join(_known_keys(first['loc']))}"
    if first["type"] == "missing":
        return f"{where}: is needed"
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else f"{message}: write name, impressions, … as keys"


def _key_path(parts: list[int | str]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return path.removeprefix(".")


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    """The keys of the part of the file in which an unknown one was found."""
    part: type[BaseModel] = Mapping
    for key in loc[:-1]:
        if isinstance(key, str):
            part = _model_in(part.model_fields[key].annotation) or part
    return list(part.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `tuple[Input, ...] | None`."""
    if isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)
