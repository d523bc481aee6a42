"""From whatever a file holds to the raw tables' types, as SQL: a cell that can't be cast becomes null.

Every function takes an expression and gives one; `source` is the DuckDB type of the cell. The
connection's time zone must be UTC.
"""

from collections.abc import Callable

EARLIEST_EPOCH = 631_152_000  # 1990: a smaller number is a year, a YYYYMMDD or a blank, not seconds
ARRAY = '["VARCHAR"]'
LOOKS_ISO = "____-__-__%"
ISO = (
    r"^\s*(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2}(?:\.\d{1,9})?)?)?"
    r"\s?(Z|UTC|[+-]\d{2}(?::?\d{2})?)?\s*$"
)
NOT_CAST = {
    "VARCHAR": "is not text",
    "JSON": "is not JSON",
    "TIMESTAMP": "is not a timestamp",
    "INTEGER": "is not an integer",
    "DOUBLE": "is not a number",
    "VARCHAR[]": "is not a list",
}
FLOATS = ("FLOAT", "DOUBLE")
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
INSTANTS = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE")
ZONED = "TIMESTAMP WITH TIME ZONE"


def cast_sql(cell: str, source: str, kind: str) -> str:
    """SQL of a cell in a raw table's SQL type; null where it isn't of it.

    Example:
        >>> cast_sql("position", "BIGINT", "INTEGER")
        'try_cast(position as integer)'
    """
    return CASTS[kind](cell, source)


def given_sql(cell: str, source: str) -> str:
    """SQL of whether a cell holds anything: null, empty text and NaN are nothing."""
    if source in FLOATS:
        return f"({cell} is not null and not isnan({cell}))"
    return f"{cell} <> ''" if source == "VARCHAR" else f"{cell} is not null"


def text_sql(cell: str, source: str) -> str:
    """Text of any cell; lists and structs as JSON, whole floats without a fraction, "" and NaN as null."""
    if source in FLOATS:
        is_whole = f"{cell} = trunc({cell}) and abs({cell}) < 1e18"
        shown = f"case when {is_whole} then {cell}::bigint::varchar else {cell}::varchar end"
        return f"case when not isnan({cell}) then {shown} end"
    if _is_nested(source):
        return f"to_json({cell})::varchar"
    return f"nullif({cell}{'' if source == 'VARCHAR' else '::varchar'}, '')"


def timestamp_sql(cell: str, source: str) -> str:
    """UTC instants (naive, us) of ISO text with or without a zone, dates, or epoch numbers."""
    if source in INSTANTS:
        return f"{cell}::timestamp"
    if source == ZONED:
        return _instant(cell)
    if _is_number(source):
        return _epoch(f"{cell}::double")
    words = cell if source == "VARCHAR" else text_sql(cell, source)
    fast = f"case when {words} like '{LOOKS_ISO}' then {_instant(f'try_cast({words} as timestamptz)')} end"
    # DuckDB computes what it finds twice for every row, unless a CASE guards it.
    odd = f"case when {words} <> '' then {_odd_iso(words)} end"
    return f"coalesce({fast}, {_epoch(number_sql(words, 'VARCHAR'))}, {odd})"


def number_sql(cell: str, source: str) -> str:
    """Finite doubles; NaN and infinity become null."""
    if source in INTEGERS:
        return f"{cell}::double"
    if _is_number(source):
        return f"case when isfinite({cell}::double) then {cell}::double end"
    if source == "BOOLEAN":
        return f"{cell}::int::double"
    words = cell if source == "VARCHAR" else text_sql(cell, source)
    double = f"try_cast({words} as double)"
    return f"case when not contains({words}, '_') and isfinite({double}) then {double} end"


def integer_sql(cell: str, source: str) -> str:
    """Whole numbers of 32 bits; `3.0` is one, `3.5` becomes null."""
    if source in (*INTEGERS, "BOOLEAN"):
        return f"try_cast({cell} as integer)"
    number = number_sql(cell, source)
    whole = f"try_cast({number} as integer)"
    return f"case when {whole} = {number} then {whole} end"


def json_sql(cell: str, source: str) -> str:
    """Valid JSON; lists and structs are written as such."""
    return f"try_cast({text_sql(cell, source)} as json)"


def list_sql(cell: str, source: str) -> str:
    """Lists of text from lists, or from text that is a JSON array; empty members are left out."""
    if source.endswith("[]"):
        return _members(f"{cell}::varchar[]")
    array = f"try_cast({text_sql(cell, source)} as json)"
    members = _members(f"json_transform({array}, '{ARRAY}')")
    return f"case when json_type({array}) = 'ARRAY' then {members} end"


CASTS: dict[str, Callable[[str, str], str]] = {
    "VARCHAR": text_sql,
    "JSON": json_sql,
    "TIMESTAMP": timestamp_sql,
    "INTEGER": integer_sql,
    "DOUBLE": number_sql,
    "VARCHAR[]": list_sql,
}


def _is_number(source: str) -> bool:
    return source in (*INTEGERS, *FLOATS, "HUGEINT", "UHUGEINT") or source.startswith("DECIMAL")


def _is_nested(source: str) -> bool:
    return source.endswith("]") or source.startswith(("STRUCT", "MAP", "UNION"))


def _instant(zoned: str) -> str:
    return f"make_timestamp(epoch_us({zoned}))"


def _epoch(number: str) -> str:
    """The instant of seconds, milliseconds, microseconds or nanoseconds since 1970, told by their size."""
    micros = f"""case when {number} < {EARLIEST_EPOCH} then null when {number} < 1e11 then {number} * 1e6
                 when {number} < 1e14 then {number} * 1e3 when {number} < 1e17 then {number}
                 else {number} / 1e3 end"""
    return f"make_timestamp(try_cast(round({micros}) as bigint))"


def _odd_iso(words: str) -> str:
    """The instant of ISO text that DuckDB's own cast refuses: without seconds, blanks, a date with a zone."""
    parts = f"regexp_extract({words}, '{ISO}', ['date', 'minute', 'second', 'zone'])"
    part = {name: f"nullif({parts}.{name}, '')" for name in ("date", "minute", "second", "zone")}
    whole = (
        f"{part['date']} || ' ' || coalesce({part['minute']}, '00:00') || coalesce({part['second']}, ':00') "
        f"|| coalesce({part['zone']}, 'Z')"
    )
    return _instant(f"try_cast({whole} as timestamptz)")


def _members(array: str) -> str:
    return f"list_filter({array}, lambda member: member <> '')"
