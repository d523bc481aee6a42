"""From whatever a file holds to the raw tables' types: a cell that can't be cast becomes null."""

import json
from collections.abc import Callable

import polars as pl

MICROSECONDS = 1_000_000
EARLIEST_EPOCH = 631_152_000  # 1990: a smaller number is a year, a YYYYMMDD or a blank, not seconds
EPOCH_UNITS = ((1e11, MICROSECONDS), (1e14, 1_000), (1e17, 1))  # numbers below: seconds, millis, micros
ISO = (
    r"^\s*(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<time>\d{2}:\d{2})(?P<seconds>:\d{2}(?:\.\d{1,9})?)?)?"
    r"\s?(?P<zone>Z|UTC|[+-]\d{2}(?::?\d{2})?)?\s*$"
)

POLARS_TYPES: dict[str, pl.DataType] = {
    "VARCHAR": pl.String(),
    "JSON": pl.String(),
    "TIMESTAMP": pl.Datetime("us"),
    "INTEGER": pl.Int32(),
    "DOUBLE": pl.Float64(),
    "VARCHAR[]": pl.List(pl.String),
}
NOT_CAST = {
    "VARCHAR": "is not text",
    "JSON": "is not JSON",
    "TIMESTAMP": "is not a timestamp",
    "INTEGER": "is not an integer",
    "DOUBLE": "is not a number",
    "VARCHAR[]": "is not a list",
}


def cast(values: pl.Series, kind: str) -> pl.Series:
    """Cast a column to a raw table's SQL type; cells that aren't of it become null.

    Example:
        >>> cast(pl.Series(["2024-05-01T10:00:00+02:00", "1714550400", "soon"]), "TIMESTAMP").to_list()
        [datetime.datetime(2024, 5, 1, 8, 0), datetime.datetime(2024, 5, 1, 8, 0), None]
    """
    if isinstance(values.dtype, pl.Categorical | pl.Enum):
        values = values.cast(pl.String)
    if values.null_count() == len(values):
        return pl.Series(values.name, [None] * len(values), POLARS_TYPES[kind])
    return CASTS[kind](values)


def text(values: pl.Series) -> pl.Series:
    """Text of any column; lists and structs as JSON, whole floats without a fraction, "" and NaN as null."""
    if values.dtype.is_nested():
        return pl.Series(values.name, [_json(value) for value in values.to_list()], pl.String)
    if values.dtype.is_float():
        values = values.fill_nan(None)
        whole = values.cast(pl.Int64, strict=False)
        frame = pl.DataFrame({"v": values, "whole": whole})
        is_whole = pl.col("v") == pl.col("whole").cast(pl.Float64)
        shown = pl.when(is_whole).then(pl.col("whole").cast(pl.String)).otherwise(pl.col("v").cast(pl.String))
        return frame.select(shown).to_series().alias(values.name)
    words = values.cast(pl.String, strict=False)
    return words.set(words == "", None)


def timestamp(values: pl.Series) -> pl.Series:
    """UTC instants (naive, us) of ISO text with or without a zone, dates, or epoch numbers."""
    if isinstance(values.dtype, pl.Datetime):
        return _naive(values)
    if values.dtype == pl.Date:
        return values.cast(pl.Datetime("us"))
    if values.dtype.is_numeric():
        return _epoch(values.cast(pl.Float64))
    words = text(values)
    parsed, counted = _iso(words), _epoch(words.cast(pl.Float64, strict=False))
    return parsed.zip_with(parsed.is_not_null(), counted)


def number(values: pl.Series) -> pl.Series:
    """Finite doubles; NaN and infinity become null."""
    doubles = values.cast(pl.Float64, strict=False)
    return doubles.set(~doubles.is_finite(), None)


def integer(values: pl.Series) -> pl.Series:
    """Whole numbers of 32 bits; `3.0` is one, `3.5` becomes null."""
    doubles = number(values)
    return doubles.set(doubles != doubles.round(0), None).cast(pl.Int32, strict=False)


def json_text(values: pl.Series) -> pl.Series:
    """Text that is valid JSON; lists and structs are written as such."""
    return pl.Series(values.name, [word if _is_json(word) else None for word in text(values)], pl.String)


def words(values: pl.Series) -> pl.Series:
    """Lists of text: native lists, or text that is a JSON array."""
    if isinstance(values.dtype, pl.List):
        return values.cast(pl.List(pl.String), strict=False)
    return pl.Series(values.name, [_array(word) for word in text(values)], pl.List(pl.String))


CASTS: dict[str, Callable[[pl.Series], pl.Series]] = {
    "VARCHAR": text,
    "JSON": json_text,
    "TIMESTAMP": timestamp,
    "INTEGER": integer,
    "DOUBLE": number,
    "VARCHAR[]": words,
}


def _iso(words: pl.Series) -> pl.Series:
    parts = words.str.extract_groups(ISO).struct.unnest()
    whole = pl.concat_str(
        "date",
        pl.lit("T"),
        pl.col("time").fill_null("00:00"),
        pl.col("seconds").fill_null(":00"),
        pl.col("zone").fill_null("+00:00").replace(["Z", "UTC"], "+00:00"),
    )
    parsed = whole.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", strict=False, time_zone="UTC")
    return _naive(parts.select(parsed).to_series().alias(words.name))


def _epoch(numbers: pl.Series) -> pl.Series:
    value = pl.col(numbers.name)
    scaled = value / 1_000
    for below, factor in reversed(EPOCH_UNITS):
        scaled = pl.when(value < below).then(value * factor).otherwise(scaled)
    micros = pl.when(value >= EARLIEST_EPOCH).then(scaled.round(0).cast(pl.Int64, strict=False))
    return numbers.to_frame().select(micros.cast(pl.Datetime("us"))).to_series().alias(numbers.name)


def _naive(instants: pl.Series) -> pl.Series:
    if instants.dtype.time_zone is not None:  # type: ignore[attr-defined]
        instants = instants.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return instants.cast(pl.Datetime("us"))


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, default=str, ensure_ascii=False)


def _array(word: str | None) -> list[str] | None:
    if not _is_json(word):
        return None
    value = json.loads(word or "")
    if not isinstance(value, list) or not all(isinstance(each, str | None) for each in value):
        return None
    return value


def _is_json(word: str | None) -> bool:
    try:
        json.loads(word or "")
    except ValueError:
        return False
    return True
