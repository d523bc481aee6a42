"""One batch of one table: good rows in the table's types, bad rows with the reason why."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from feed_platform.feed import Feed, FeedError
from feed_platform.interactions.casting import NOT_CAST, cast
from feed_platform.interactions.schemas import DEFAULTS, RawTable, input_types

if TYPE_CHECKING:
    import pandera.polars as pa

PROVENANCE = {"_file": pl.String(), "_row": pl.Int64(), "_in_row": pl.Boolean(), "_problem": pl.String()}
FAILURES = {"index": pl.Int64(), "column": pl.String(), "rule": pl.String(), "value": pl.String()}
SHOWN_VALUE = 80


@dataclass(frozen=True)
class Checked:
    """Good rows (input columns, `_file`, `_row`, `_in_row`) and bad ones (file, row, reason, record)."""

    good: pl.DataFrame
    bad: pl.DataFrame


def check(frame: pl.DataFrame, table: RawTable, feed: Feed, schema: "pa.DataFrameSchema") -> Checked:
    """Cast and check one frame; `_file` and `_row` must be there.

    Raises:
        FeedError: a column is neither one of the table's nor a declared attribute.
    """
    types = input_types(table, feed)
    raw = _complete(frame, table, types)
    cells = (cast(raw[column], kind) for column, kind in types.items())
    typed = raw.with_columns(cells).with_columns(
        pl.col(column).fill_null(value) for column, value in DEFAULTS.items() if column in types
    )
    failures = _all_failures(raw, typed, types, schema)
    bad = failures.select("index").unique()
    indexed = typed.select(*types, "_file", "_row", "_in_row").with_row_index("index")
    good = indexed.with_columns(pl.col("index").cast(pl.Int64)).join(bad, on="index", how="anti")
    return Checked(good.drop("index"), _bad_rows(frame, raw, failures))


def _complete(frame: pl.DataFrame, table: RawTable, types: dict[str, str]) -> pl.DataFrame:
    unknown = sorted(set(frame.columns) - set(types) - set(PROVENANCE))
    if unknown:
        raise FeedError(
            f"{table.name}: {unknown[0]} is neither a column of raw.{table.name} nor an attribute: "
            f"declare it under [attributes.{table.name}] in feed.toml"
        )
    missing = [pl.lit(None, pl.String).alias(column) for column in types if column not in frame.columns]
    provenance = [
        pl.lit(None, kind).alias(name) for name, kind in PROVENANCE.items() if name not in frame.columns
    ]
    return frame.with_columns(*missing, *provenance).with_columns(pl.col("_in_row").fill_null(False))


def _all_failures(
    raw: pl.DataFrame, typed: pl.DataFrame, types: dict[str, str], schema: "pa.DataFrameSchema"
) -> pl.DataFrame:
    """At most one failure a cell; a row that could not be read has that failure alone."""
    unread = _failures(raw, raw["_problem"].is_not_null(), "row", pl.col("_problem"))
    uncast = pl.concat([unread.clear(), *(_uncast(raw, typed, name, kind) for name, kind in types.items())])
    broken = broken_rules(typed.select(*types), schema).join(uncast, on=["index", "column"], how="anti")
    cells = pl.concat([uncast, broken]).unique(["index", "column"], keep="first", maintain_order=True)
    return pl.concat([unread, cells.join(unread, on="index", how="anti")])


def _uncast(raw: pl.DataFrame, typed: pl.DataFrame, column: str, kind: str) -> pl.DataFrame:
    given = raw[column].is_not_null()
    if raw.schema[column].is_float():
        given &= raw[column].is_not_nan()
    if raw.schema[column] == pl.String:
        given &= raw[column] != ""
    return _failures(raw, given & typed[column].is_null(), column, pl.lit(NOT_CAST[kind]))


def _failures(raw: pl.DataFrame, at: pl.Series, column: str, rule: pl.Expr) -> pl.DataFrame:
    value = pl.lit(None, pl.String) if column == "row" else pl.col(column).cast(pl.String, strict=False)
    failing = raw.with_row_index("index").filter(at)
    return failing.select(
        pl.col("index").cast(pl.Int64),
        pl.lit(column).alias("column"),
        rule.alias("rule"),
        value.alias("value"),
    )


def broken_rules(typed: pl.DataFrame, schema: "pa.DataFrameSchema") -> pl.DataFrame:
    """The cells of typed rows that break their schema's rules: index, column, rule, value."""
    from pandera.errors import SchemaErrors

    try:
        schema.validate(typed, lazy=True)
    except SchemaErrors as errors:
        return errors.failure_cases.select(
            pl.col("index").cast(pl.Int64),
            "column",
            pl.col("check").replace("not_nullable", "is missing").alias("rule"),
            pl.col("failure_case").cast(pl.String).alias("value"),
        )
    return pl.DataFrame(schema=FAILURES)


def _bad_rows(frame: pl.DataFrame, raw: pl.DataFrame, failures: pl.DataFrame) -> pl.DataFrame:
    place = {column: position for position, column in enumerate(raw.columns)}
    value = pl.format("'{}' ", pl.col("value").str.head(SHOWN_VALUE)).fill_null("")
    reasons = (
        failures.sort("index", pl.col("column").replace_strict(place, default=-1))
        .group_by("index", maintain_order=True)
        .agg(pl.format("{}: {}{}", "column", value, "rule").str.join("; ").alias("reason"))
    )
    rows = raw[reasons["index"].to_list()]
    record = rows.select(column for column in frame.columns if column not in PROVENANCE)
    return pl.DataFrame(
        {
            "file": rows["_file"],
            "row": rows["_row"],
            "reason": reasons["reason"],
            "record": record.select(pl.struct(pl.all()).struct.json_encode()).to_series(),
        }
    )
