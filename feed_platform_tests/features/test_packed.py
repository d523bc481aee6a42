"""A packed table gives back every value's bits, whatever they are."""

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feed_platform.features import packed as module
from feed_platform.features.packed import Rate, Table, in_chunks, pack, smoothed

ROWS = 200_000
PRIOR = 20
GLOBAL = 0.1 / 3


def bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.uint32)


def packed(values: np.ndarray, rates: tuple[Rate, ...] = ()) -> tuple[Table, int]:
    """The table of rows with keys 0, 2, 4 …, and its size in bytes without the keys."""
    parts = pack(in_chunks(np.arange(len(values), dtype=np.uint64) * 2, values), rates)
    return Table(parts), sum(array.nbytes for name, array in parts.items() if name != "keys")


def assert_gives_back(table: Table, values: np.ndarray) -> None:
    order = np.random.default_rng(1).permutation(len(values))
    np.testing.assert_array_equal(bits(table.take(order.astype(np.uint64) * 2)), bits(values[order]))


CELLS = st.one_of(
    st.floats(width=32, allow_nan=False),
    st.integers(0, 2**26).map(float),
    st.integers(0, 3).map(float),
    st.sampled_from([np.nan, -0.0, 254.0, 255.0, 2.0**25, 2.0**32, np.inf, -1.0, 0.5]),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(1, 7).flatmap(lambda k: st.lists(st.lists(CELLS, min_size=k, max_size=k), min_size=1)))
def test_any_values_come_back(rows: list[list[float]]) -> None:
    values = np.array(rows, dtype=np.float32)
    assert_gives_back(packed(values)[0], values)
    last = values.shape[1] - 1
    assert_gives_back(packed(values, (Rate(last, 0, last // 2, PRIOR * GLOBAL, PRIOR),))[0], values)


def test_any_bits_come_back() -> None:
    values = np.random.default_rng(2).integers(0, 2**32, (3_000, 5), dtype=np.uint32).view(np.float32)
    table, size = packed(values)
    assert_gives_back(table, values)
    assert size < 1.01 * values.nbytes


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.integers(2, 7).flatmap(lambda k: st.lists(st.lists(CELLS, min_size=k, max_size=k), min_size=1)),
    st.data(),
)
def test_some_columns_alone_are_what_they_are_among_all(rows: list[list[float]], data: st.DataObject) -> None:
    values = np.array(rows, dtype=np.float32)
    last = values.shape[1] - 1
    table, _ = packed(values, (Rate(last, 0, last // 2, PRIOR * GLOBAL, PRIOR),))
    places = data.draw(st.lists(st.sampled_from(range(last + 1)), min_size=1, unique=True))
    keys = np.arange(len(values), dtype=np.uint64)[::-1] * 2
    narrow = table.only(np.array(places))
    for read in (narrow, narrow.unpacked()):
        np.testing.assert_array_equal(bits(read.take(keys)), bits(values[::-1][:, places]))


def test_a_large_table_stays_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    table, _ = packed(np.array([[1], [2], [3]], dtype=np.float32))
    assert table.unpacked() is not table
    monkeypatch.setattr(module, "MOST_UNPACKED", 2)
    assert table.unpacked() is table


def test_an_unknown_key_gets_the_first_row() -> None:
    table, _ = packed(np.array([[7], [8], [9]], dtype=np.float32))
    assert table.take(np.array([0, 1, 2, 3, 99], dtype=np.uint64)).ravel().tolist() == [7, 7, 8, 7, 7]


def test_outliers_do_not_widen_a_column_and_rates_take_nothing() -> None:
    rng = np.random.default_rng(3)
    values = np.zeros((ROWS, 4), dtype=np.float32)
    values[:, 0] = rng.integers(0, 60, ROWS)
    values[:, 1] = rng.binomial(values[:, 0].astype(int), 0.1)
    values[::1000, 0] = rng.integers(2**20, 2**40, len(values[::1000]))
    values[::3, 2] = np.nan
    values[:, 3] = smoothed(values[:, 1], values[:, 0], PRIOR * GLOBAL, PRIOR)
    table, size = packed(values, (Rate(3, 1, 0, PRIOR * GLOBAL, PRIOR),))
    assert_gives_back(table, values)
    assert size < 2.1 * ROWS


@pytest.mark.parametrize("most", [30, 5_000, 2**24])
def test_a_rate_has_the_bits_that_duckdb_gives_it(most: int) -> None:
    rng = np.random.default_rng(most)
    counts, shown, rate = rng.integers(0, most, ROWS), rng.integers(0, most, ROWS), rng.random(ROWS)
    with duckdb.connect() as con:
        con.register("frame", pl.DataFrame({"counts": counts, "shown": shown, "rate": rate}))
        theirs = con.execute(
            f"select cast((counts + {PRIOR} * rate) / (shown + {PRIOR}) as float) as rate from frame"
        ).fetchnumpy()["rate"]
    ours = smoothed(counts.astype(np.float32), shown.astype(np.float32), PRIOR * rate, PRIOR)
    np.testing.assert_array_equal(bits(ours), bits(np.asarray(theirs)))
