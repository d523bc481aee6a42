"""What a mapping says about a cell, as SQL over the columns of a scanned file."""

from collections.abc import Mapping
from datetime import UTC, datetime

from feed_platform.interactions.casting_sql import INSTANTS, ZONED, number_sql, text_sql, timestamp_sql
from feed_platform.interactions.mapping_model import (
    Cell,
    Column,
    Concat,
    Condition,
    Hash,
    ImpressionInput,
    Input,
    ListCell,
    Times,
    TimeUnit,
)
from feed_platform.interactions.merge import quoted
from feed_platform.interactions.readers import TEXT, literal

SEPARATOR = "chr(31)"
LIST = "VARCHAR[]"
MICROSECONDS: dict[TimeUnit, int] = {"s": 1_000_000, "ms": 1_000, "us": 1}
LOCAL_ISO = r"^\s*\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?\s*$"
ZONE_DIRECTIVES = ("%z", "%Z")

Columns = Mapping[str, tuple[str, str]]
Typed = tuple[str, str]


def sources(one: Input) -> list[str]:
    """The source columns that an input reads, each once."""
    named = [name for column in one.columns.values() for name in named_in(column)]
    named += [condition.column for condition in (*one.where, *one.exclude)]
    if isinstance(one, ImpressionInput):
        named += one.context.values()
        for each in one.engagements_in_row:
            named += [name for name in (each.column, each.value, each.occurred_at) if name]
        named += [cell.column for cell in _slate_cells(one)]
    return list(dict.fromkeys(named))


def _slate_cells(one: ImpressionInput) -> list[ListCell]:
    slate = one.slate
    if slate is None:
        return []
    return [cell for cell in (slate.post_id, slate.propensity, slate.labels, slate.engaged) if cell]


def named_in(column: Column) -> list[str]:
    """The source columns that fill a raw column."""
    if isinstance(column, Hash):
        return list(column.hash)
    if isinstance(column, Concat):
        return list(column.concat)
    return [column.column if isinstance(column, Cell) else column]


def column_sql(column: Column, columns: Columns, one: Input, kind: str) -> Typed:
    """SQL and DuckDB type of what fills a raw column of type `kind`; the import casts it on."""
    if isinstance(column, Hash):
        return _hashed([text_sql(*columns[name]) for name in column.hash]), TEXT
    if isinstance(column, Concat):
        return " || ':' || ".join(text_sql(*columns[name]) for name in column.concat), TEXT
    if isinstance(column, Cell):
        times = column if column.model_fields_set & set(Times.model_fields) else one
        return _read(_chosen(column, columns), one, times, kind)
    return _read(columns[column], one, one, kind)


def _hashed(parts: list[str]) -> str:
    joined = f" || {SEPARATOR} || ".join(f"coalesce({part}, '')" for part in parts)
    return f"case when coalesce({', '.join(parts)}) is not null then md5({joined}) end"


def _chosen(column: Cell, columns: Columns) -> Typed:
    """A cell, its list or one element of it, with its values translated."""
    cell, source = columns[column.column]
    if column.split is None and column.take is None:
        return (_translated(text_sql(cell, source), column), TEXT) if column.values else (cell, source)
    words = f"[{_translated('w', column)} for w in {list_sql(cell, source, column.split)} if w <> '']"
    return (f"({words})[{column.take}]", TEXT) if column.take else (words, LIST)


def _translated(word: str, column: Cell) -> str:
    if not column.values:
        return word
    cases = " ".join(f"when {literal(old)} then {literal(new)}" for old, new in column.values.items())
    return f"case {word} {cases} else {word} end"


def list_sql(cell: str, source: str, split: str | None) -> str:
    """SQL of the list (VARCHAR[]) in a cell: delimited text, an array's text, a native list."""
    if source.endswith("]"):
        return f"{cell}::varchar[]"
    words = text_sql(cell, source)
    if split is None:
        return f"try_cast({words} as varchar[])"
    if split.isspace():
        return f"[w for w in string_split(trim({words}), {literal(split)}) if w <> '']"
    return f"[trim(w) for w in string_split({words}, {literal(split)})]"


def _read(cell: Typed, one: Input, times: Times, kind: str) -> Typed:
    sql, source = cell
    if kind == "TIMESTAMP":
        return time_sql(sql, source, times)
    if kind in ("INTEGER", "DOUBLE") and source == TEXT:
        return decimal_sql(sql, one), TEXT
    if kind == LIST and source == TEXT:
        return f"coalesce(to_json(try_cast({sql} as varchar[]))::varchar, {sql})", TEXT
    return cell


def decimal_sql(cell: str, one: Input) -> str:
    """Text of a number with a decimal point."""
    return f"replace({cell}, ',', '.')" if one.decimal == "," else cell


def time_sql(cell: str, source: str, times: Times) -> Typed:
    """SQL of a time as an instant or as ISO text in UTC; what isn't one stays as it is."""
    if source == ZONED or (source in INSTANTS and times.time_zone is None):
        return cell, source
    if source in INSTANTS:
        return _in_utc(f"{cell}::timestamp", times), "TIMESTAMP"
    words = text_sql(cell, source)
    if times.time_format is not None:
        return f"coalesce(({_parsed(words, times.time_format, times)})::varchar, {words})", TEXT
    if times.time_unit is not None:
        return f"coalesce(({_counted(cell, source, times)})::varchar, {words})", TEXT
    if times.time_zone is None or source != TEXT:
        return cell, source
    local = _in_utc(f"try_cast({words} as timestamp)", times)
    return f"case when regexp_matches({words}, '{LOCAL_ISO}') then ({local})::varchar else {words} end", TEXT


def _in_utc(local: str, times: Times) -> str:
    if times.time_zone is None:
        return local
    return f"timezone('UTC', timezone({literal(times.time_zone)}, {local}))"


def _parsed(words: str, time_format: str, times: Times) -> str:
    parsed = f"try_strptime({words}, {literal(time_format)})"
    if any(directive in time_format for directive in ZONE_DIRECTIVES):
        return f"timezone('UTC', {parsed}::timestamptz)"
    return _in_utc(f"{parsed}::timestamp", times)


def _counted(cell: str, source: str, times: Times) -> str:
    origin = times.time_origin or datetime(1970, 1, 1)
    if origin.tzinfo is not None:
        origin = origin.astimezone(UTC).replace(tzinfo=None)
    assert times.time_unit is not None
    micros = f"round({number_sql(cell, source)} * {MICROSECONDS[times.time_unit]})::bigint"
    return f"try(timestamp '{origin.isoformat(' ')}' + to_microseconds({micros}))"


def instant_sql(column: Column, columns: Columns, one: Input) -> str:
    """SQL of the UTC instant in a raw time column; null where the cell holds none."""
    return timestamp_sql(*column_sql(column, columns, one, "TIMESTAMP"))


def context_sql(one: ImpressionInput, columns: Columns, numbers: set[str]) -> str:
    """SQL of the JSON object of a request's context; `numbers` are the keys declared as such."""
    cells = {key: columns[name] for key, name in one.context.items()}
    filled = ", ".join(text_sql(*cell) for cell in cells.values())
    packed = ", ".join(
        f"{quoted(key)} := {number_sql(*cell) if key in numbers else text_sql(*cell)}"
        for key, cell in cells.items()
    )
    return f"case when coalesce({filled}) is not null then to_json(struct_pack({packed}))::varchar end"


def condition_sql(condition: Condition, columns: Columns, one: Input, lists: Mapping[str, str]) -> str:
    """SQL of whether a row passes a condition, never null.

    `lists` gives for each file of an `in_file` the relation that holds it.
    """
    cell, source = columns[condition.column]
    words = text_sql(cell, source)
    if condition.missing:
        return f"({words} is null)"
    number = number_sql(decimal_sql(words, one), TEXT)
    tests = []
    if condition.equals is not None:
        tests.append(" or ".join(_equals(words, number, value) for value in condition.equals))
    if condition.matches is not None:
        tests.append(f"regexp_matches({words}, {literal(condition.matches)})")
    if condition.in_file is not None:
        tests.append(f"{words} in (select w from {lists[condition.in_file]})")
    if condition.at_least is not None:
        tests.append(f"{number} >= {condition.at_least}")
    if condition.at_most is not None:
        tests.append(f"{number} <= {condition.at_most}")
    return "coalesce(" + " and ".join(f"({test})" for test in tests) + ", false)"


def _equals(words: str, number: str, value: str | int | float) -> str:
    if isinstance(value, str):
        return f"{words} = {literal(value)}"
    return f"{number} = {value}"
