"""Cells of files as values of the raw tables."""

from datetime import date, datetime

import polars as pl
import pytest

from feed_platform.interactions.casting import cast

NOON = datetime(2024, 5, 1, 12)


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
    assert cast(pl.Series(["", cell]), "TIMESTAMP").to_list() == [None, NOON]


def test_typed_times_are_utc() -> None:
    zoned = pl.Series([NOON]).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    assert cast(zoned.dt.cast_time_unit("ns"), "TIMESTAMP").to_list() == [NOON]
    assert cast(pl.Series([date(2024, 5, 1)]), "TIMESTAMP").to_list() == [datetime(2024, 5, 1)]
    assert cast(pl.Series([1714564800]), "TIMESTAMP").to_list() == [NOON]


@pytest.mark.parametrize("cell", ["soon", "20240501", "0", "2024-13-01", "01/05/2024", "infinity", "12:00"])
def test_what_is_no_instant_is_null(cell: str) -> None:
    assert cast(pl.Series([cell]), "TIMESTAMP").to_list() == [None]


def test_numbers_are_finite_and_integers_whole() -> None:
    cells = pl.Series(["3", "3.0", "3.5", "nan", "inf", "x", "99999999999"])
    assert cast(cells, "INTEGER").to_list() == [3, 3, None, None, None, None, None]
    assert cast(cells.cast(pl.Categorical), "INTEGER").to_list() == cast(cells, "INTEGER").to_list()
    assert cast(cells, "DOUBLE").to_list() == [3.0, 3.0, 3.5, None, None, None, 99999999999.0]


def test_ids_that_were_read_as_floats_are_whole_again() -> None:
    assert cast(pl.Series([12.0, None, 1.5, float("nan")]), "VARCHAR").to_list() == ["12", None, "1.5", None]


def test_json_is_valid_or_null() -> None:
    assert cast(pl.Series(['{"a": 1}', "{", None]), "JSON").to_list() == ['{"a": 1}', None, None]
    assert cast(pl.Series([{"a": 1}]), "JSON").to_list() == ['{"a": 1}']
