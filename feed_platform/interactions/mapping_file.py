"""Reading a mapping file: what is wrong with it, where, and what was probably meant."""

import json
from collections.abc import Iterable
from difflib import get_close_matches
from inspect import isclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from feed_platform.feed import Feed, FeedError
from feed_platform.interactions.mapping_model import SHAPES, Cell, Input, Mapping, Times
from feed_platform.interactions.schemas import RawTable, attributes_of, input_types

SCHEMA_FILE = Path(__file__).with_name("mapping.schema.json")
UNKNOWN = "extra_forbidden"


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        FeedError: it can't be read or isn't valid; names the file, the key and how to mend it.
    """
    content: Any = None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Mapping.model_validate(content)
    except OSError as error:
        raise FeedError(f"{path}: {error.strerror}: give the path of a mapping file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FeedError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise FeedError(f"{path}: {_explained(error, content)}") from error


def mapping_schema() -> str:
    """The JSON Schema of mapping files, for editors and programs."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Mapping.model_json_schema()}
    return json.dumps(schema, indent=1) + "\n"


def check_columns(mapping: Mapping, feed: Feed, path: Path) -> None:
    """Check that every input fills what its table needs, and only columns that there are.

    Raises:
        FeedError: names the file, the key and how to mend it.
    """
    if not any(True for _ in mapping.inputs()):
        raise FeedError(f"{path}: names no input: add impressions, engagements, users or posts")
    for table, place, one in mapping.inputs():
        _check_input(table, place, one, feed, path)
    unknown = [kind for kind in mapping.event_types() if kind not in feed.event_types]
    if unknown:
        raise FeedError(
            f"{path}: event type {unknown[0]}: not one of feed.event_types: "
            f"{', '.join(feed.event_types)}{meant(unknown[0], feed.event_types)}"
        )


def _check_input(table: RawTable, place: str, one: Input, feed: Feed, path: Path) -> None:
    known = input_types(table, feed)
    for key in ("columns", "constants", "id_prefix"):
        for name in getattr(one, key):
            if name not in known:
                attribute = "" if table.is_event else f", or declare it in feed.attributes.{table.name}"
                raise FeedError(
                    f"{path}: {place}.{key}.{name}: not a column of raw.{table.name}: "
                    f"use one of {', '.join(known)}{attribute}{meant(name, known)}"
                )
    lists = {name for name, kind in attributes_of(table, feed).items() if kind == "list"}
    for name, column in one.columns.items():
        if isinstance(column, Cell) and column.split and column.take is None and name not in lists:
            raise FeedError(
                f"{path}: {place}.columns.{name}: split gives a list: add take, or declare the kind list "
                f"in feed.attributes.{table.name}"
            )
    missing = [name for name in table.required if name not in one.given and not may_be_made(name, table)]
    if missing:
        raise FeedError(f"{path}: {place}.columns: {missing[0]} is needed: say which column holds it")


def may_be_made(column: str, table: RawTable) -> bool:
    """Whether an id is made from the file and row where the mapping names none."""
    return table.is_event and column == table.key


def meant(word: str, words: Iterable[str]) -> str:
    """`; did you mean …?` where one of the words is close."""
    close = get_close_matches(word, list(words), n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""


def _explained(error: ValidationError, content: Any) -> str:
    """The first mistake; a misspelt key before what is missing without it."""
    first = min(error.errors(), key=lambda one: one["type"] != UNKNOWN)
    where = _key_path(_in_file(first["loc"], content))
    if first["type"] == UNKNOWN:
        keys = _known_keys(first["loc"])
        return f"{where}: unknown key: use one of {', '.join(keys)}{meant(str(first['loc'][-1]), keys)}"
    if first["type"] == "missing":
        return f"{where}: is needed"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "literal_error":
        message += f", not {first['input']!r}"
    return f"{where}: {message}" if where else f"{message}: write name, impressions, … as keys"


def _in_file(loc: tuple[int | str, ...], content: Any) -> list[int | str]:
    """The parts of an error's place that stand in the file: pydantic adds names of its own."""
    path: list[int | str] = []
    for place, part in enumerate(loc):
        is_last = place == len(loc) - 1
        inside = content[part] if _has(content, part) else None
        if isinstance(inside, dict | list) or (is_last and isinstance(content, dict)):
            path.append(part)
            content = inside
    return path


def _has(content: Any, part: int | str) -> bool:
    if isinstance(content, dict):
        return part in content
    return isinstance(content, list) and isinstance(part, int) and part < len(content)


def _key_path(parts: list[int | str]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return path.removeprefix(".")


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    """The keys of the part of the file in which an unknown one was found."""
    part: type[BaseModel] = Mapping
    for key in loc[:-1]:
        if isinstance(key, str) and key in part.model_fields:
            part = _model_in(part.model_fields[key].annotation) or part
        else:
            part = SHAPES.get(str(key), part)
    return sorted(part.model_fields, key=lambda key: key in Times.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `tuple[Input, ...] | None`."""
    if isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)
