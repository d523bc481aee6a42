"""Cells of files as values of the raw tables."""

import json
from datetime import date, datetime
from typing import Any

import duckdb
import polars as pl
import pytest

from feed_platform.interactions.casting_sql import cast_sql, given_sql

NOON = datetime(2024, 5, 1, 12)


def cast(cells: pl.Series, kind: str) -> list[Any]:
    """The cells as the import casts them, from whatever type DuckDB sees them in."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.register("cells", cells.alias("cell").to_frame())
        (source,) = con.execute("select any_value(typeof(cell)) from cells").fetchone() or ("",)
        rows = con.execute(f"select {cast_sql('cell', source, kind)} from cells").fetchall()
    return [value for (value,) in rows]


@pytest.mark.parametrize(
    "cell",
    [
        "2024-05-01T12:00:00",
        "2024-05-01 12:00",
        "2024-05-01T12:00:00Z",
        "2024-05-01 12:00:00.000000 UTC",
        "2024-05-01T14:00:00.000+02:00",
        "2024-05-01 06:30:00-0530",
        "2024-05-01T14:00:00+02",
        "1714564800",
        "1714564800.0",
        "1714564800000",
        "1714564800000000",
    ],
)
def test_every_spelling_of_an_instant_is_utc(cell: str) -> None:
    assert cast(pl.Series(["", cell]), "TIMESTAMP") == [None, NOON]


def test_typed_times_are_utc() -> None:
    zoned = pl.Series([NOON]).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    assert cast(zoned.dt.cast_time_unit("ns"), "TIMESTAMP") == [NOON]
    assert cast(pl.Series([date(2024, 5, 1)]), "TIMESTAMP") == [datetime(2024, 5, 1)]
    assert cast(pl.Series([1714564800]), "TIMESTAMP") == [NOON]


@pytest.mark.parametrize("cell", ["soon", "20240501", "0", "2024-13-01", "01/05/2024", "infinity", "12:00"])
def test_what_is_no_instant_is_null(cell: str) -> None:
    assert cast(pl.Series([cell]), "TIMESTAMP") == [None]


def test_numbers_are_finite_and_integers_whole() -> None:
    cells = pl.Series(["3", "3.0", "3.5", "nan", "inf", "x", "99999999999"])
    assert cast(cells, "INTEGER") == [3, 3, None, None, None, None, None]
    assert cast(cells.cast(pl.Categorical), "INTEGER") == cast(cells, "INTEGER")
    assert cast(cells, "DOUBLE") == [3.0, 3.0, 3.5, None, None, None, 99999999999.0]


def test_ids_that_were_read_as_floats_are_whole_again() -> None:
    assert cast(pl.Series([12.0, None, 1.5, float("nan")]), "VARCHAR") == ["12", None, "1.5", None]


def test_json_is_valid_or_null() -> None:
    assert cast(pl.Series(['{"a": 1}', "{", None]), "JSON") == ['{"a": 1}', None, None]
    assert list(map(json.loads, cast(pl.Series([{"a": 1}]), "JSON"))) == [{"a": 1}]


def test_lists_hold_text_and_nothing_empty() -> None:
    cells = pl.Series(['["a", "b"]', '["a", null, ""]', "[]", "a|b", '{"a": 1}', "", None])
    assert cast(cells, "VARCHAR[]") == [["a", "b"], ["a"], [], None, None, None, None]
    assert cast(pl.Series([["a", None], [], None]), "VARCHAR[]") == [["a"], [], None]
    assert cast(pl.Series([[1, 2]]), "VARCHAR[]") == [["1", "2"]]


@pytest.mark.parametrize("cell", ["1_000", "0x10", "1e400", "one"])
def test_what_no_file_means_as_a_number_is_null(cell: str) -> None:
    assert cast(pl.Series([cell]), "DOUBLE") == cast(pl.Series([cell]), "INTEGER") == [None]


def test_a_cell_of_any_type_can_be_asked_for_any_type() -> None:
    sources = [
        "true",
        "12::hugeint",
        "1.50::decimal(9, 2)",
        "time '10:00'",
        "interval 1 day",
        "uuid()",
        "'x'::blob",
    ]
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        for sql in sources:
            (source,) = con.execute(f"select typeof({sql})").fetchone() or ("",)
            for kind in ("VARCHAR", "JSON", "TIMESTAMP", "INTEGER", "DOUBLE", "VARCHAR[]"):
                cell = f"({sql})"
                con.execute(f"select {cast_sql(cell, source, kind)}, {given_sql(cell, source)}").fetchall()
