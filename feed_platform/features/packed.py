"""Feature values by key in as few bits as they need, read back to the same float32 bits.

A row is one string of bits. A count takes the bits that most of its column need; a smoothed rate takes none,
as it follows from two counts; what fits neither takes 32. The few cells that don't fit their column's bits
are listed beside the rows. Which column takes what is measured when a table is packed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from feed_platform.features.keys import Keys

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint32]
Bits = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Number = float | npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]
Chunks = Callable[[], Iterable[tuple[Keys, Floats]]]

PARTS = ("keys", "bits", "columns", "cells", "exact")
# A column: its bits; 1 where code 0 is a missing value and others are one more than what they stand for; of
# a rate its count's and impressions' columns (else -1), and what the prior adds to each of the two.
COLUMN = np.dtype(
    [("width", "u1"), ("offset", "u1"), ("of", "<i2"), ("per", "<i2"), ("added", "<f8"), ("prior", "<f8")]
)
NO_RATE = (-1, -1, 0.0, 0.0)
WIDEST, RAW = 25, 32  # up to 25 bits lie in four bytes wherever they begin
CELL_BITS = 96
BEHIND = 3  # bytes behind a row, so that four can be read from each of its own
CHUNK_ROWS = 1 << 16
MOST_UNPACKED = 8 << 20  # cells of one table, 32 MiB: reading rows takes a tenth of unpacking them each time
NO_ESCAPE = np.uint32(2**32 - 1)


@dataclass(frozen=True)
class Rate:
    """A column that follows from others: (count + added) / (impressions + prior).

    Attributes:
        column: its place; `of` is its count's and `per` its impressions' in the same table.
        added: the prior's count: its impressions times the global rate.
        prior: the prior's impressions.
    """

    column: int
    of: int
    per: int
    added: float
    prior: float


class Columns:
    """Where columns lie in a row's bits, and what their codes mean.

    Args:
        described: every column of the table.
        places: which of them these are (k,), ascending, with all that their rates follow from.
    """

    def __init__(self, described: npt.NDArray[Any], places: Rows) -> None:
        widths = described["width"].astype(np.int64)
        order = np.argsort(widths != RAW, kind="stable")  # raw ones first: each begins with a byte
        begins = np.empty_like(widths)
        begins[order] = np.cumsum(widths[order]) - widths[order]
        self.row_bytes = max(1, -(-int(widths.sum()) // 8))
        self.places, begins, widths, described = places, begins[places], widths[places], described[places]
        self._bytes = np.minimum(begins // 8, self.row_bytes - 1)
        self._shifts = (begins % 8).astype(np.uint32)
        self._masks = ((1 << widths) - 1).astype(np.uint32)
        self._offsets = described["offset"].astype(np.uint32)
        self.escapes = np.where(widths == 0, NO_ESCAPE, self._masks)
        self._is_raw = widths == RAW
        self._has_raw = bool(self._is_raw.any())
        self._rates = np.flatnonzero(described["of"] >= 0)
        rates = described[self._rates]
        self._sources = np.searchsorted(places, np.concatenate([rates["of"], rates["per"]]))
        self._priors = np.concatenate([rates["added"], rates["prior"]])
        self._listed_rates = np.flatnonzero(rates["width"])

    @classmethod
    def every(cls, described: npt.NDArray[Any]) -> "Columns":
        """All of a table's columns."""
        return cls(described, np.arange(len(described)))

    @classmethod
    def for_reading(cls, described: npt.NDArray[Any], wanted: Rows) -> "Columns":
        """Those at these places (m,), and what their rates follow from."""
        rates = described[wanted][described["of"][wanted] >= 0]
        return cls(described, np.unique(np.concatenate([wanted, rates["of"], rates["per"]])))

    def codes(self, bits: Bits) -> Codes:
        """The codes (n, k) in rows of bits, each with room `BEHIND` it."""
        codes: Codes = (_windows(bits)[:, self._bytes] >> self._shifts) & self._masks
        return codes

    def bits(self, codes: Codes) -> Bits:
        """Rows of bits (n, row_bytes) that hold codes."""
        bits = np.zeros((len(codes), self.row_bytes + BEHIND), dtype=np.uint8)
        windows, shifted = _windows(bits), (codes & self._masks) << self._shifts
        for column, place in enumerate(self._bytes):
            windows[:, place] |= shifted[:, column]
        return bits[:, :-BEHIND]

    def plain(self, codes: Codes) -> Floats:
        """What codes (n, k) stand for, but for rates and for those that are the column's escape."""
        values = (codes - self._offsets).astype(np.float32, order="C")
        values[codes < self._offsets] = np.nan
        if self._has_raw:
            np.copyto(values, codes.view(np.float32), where=self._is_raw)
        return values

    def add_rates(self, values: Floats, codes: Codes) -> None:
        """Compute the rates among values (n, k) that are right elsewhere."""
        if not len(self._rates):
            return
        found = self._computed(values)
        if len(some := self._listed_rates):
            columns = self._rates[some]
            listed = codes[:, columns] == self.escapes[columns]
            found[:, some] = np.where(listed, values[:, columns], found[:, some])
        values[:, self._rates] = found

    def encoded(self, values: Floats) -> Codes:
        """The codes of values (n, k); the column's escape where a cell must be listed."""
        counts, fits = _counts(values)
        missing = _is_missing(values) & (self._offsets == 1)
        codes = np.where(missing, 0, counts + self._offsets).astype(np.uint32)
        codes = np.where((fits | missing) & (codes < self.escapes), codes, self.escapes)
        codes = np.where(self._is_raw, values.view(np.uint32), codes)
        same = _same(self._computed(values), values[:, self._rates])
        codes[:, self._rates] = np.where(same, 0, self.escapes[self._rates])
        return codes

    def _computed(self, values: Floats) -> Floats:
        count = len(self._rates)
        with np.errstate(all="ignore"):
            sums = values[:, self._sources] + self._priors
            return (sums[:, :count] / sums[:, count:]).astype(np.float32)


class Survey:
    """What a table's values need, part by part.

    Attributes:
        rows: how many there were.
        needs: cells by column and by the bits that they need (k, 27).
        missing: which columns have missing values (k,).
        wrong: of each rate, cells that don't follow from others.
    """

    def __init__(self, rates: Sequence[Rate]) -> None:
        self._rates = rates
        self.rows = 0
        self.needs: npt.NDArray[np.int64] = np.zeros((0, WIDEST + 2), dtype=np.int64)
        self.missing: Mask = np.zeros(0, dtype=np.bool_)
        self.wrong = [0] * len(rates)

    def add(self, values: Floats) -> None:
        """Count the cells of further rows (n, k)."""
        need, missing = _needed(values)
        needs = np.array([np.bincount(column, minlength=WIDEST + 2) for column in need.T])
        self.needs = self.needs + needs if self.rows else needs
        some: Mask = np.asarray(missing.any(axis=0))
        self.missing = self.missing | some if self.rows else some
        for place, rate in enumerate(self._rates):
            found = smoothed(values[:, rate.of], values[:, rate.per], rate.added, rate.prior)
            self.wrong[place] += int(np.count_nonzero(~_same(found, values[:, rate.column])))
        self.rows += len(values)


class Table:
    """Values by key. Row 0 has key 0 and stands for every key that isn't there."""

    def __init__(self, parts: Arrays) -> None:
        self.keys: Keys = parts["keys"]
        self._bits: Bits = parts["bits"]
        self._described = parts["columns"]
        self._cells, self._exact = parts["cells"], parts["exact"]
        self._columns = Columns.every(self._described)
        self._wanted: Rows | None = None
        self._unpacked: Floats | None = None

    @property
    def width(self) -> int:
        """How many values a row has."""
        return len(self._described)

    def only(self, places: Rows) -> "Table":
        """This table with its columns at these places (m,) alone, in their order: `take` reads no others."""
        if np.array_equal(places, np.arange(self.width)):
            return self
        narrow = copy(self)
        narrow._columns = Columns.for_reading(self._described, places)
        narrow._wanted = np.searchsorted(narrow._columns.places, places)
        return narrow

    def unpacked(self) -> "Table":
        """This table with its values in memory, where they are few; else as it is."""
        columns = self.width if self._wanted is None else len(self._wanted)
        if len(self.keys) * columns > MOST_UNPACKED:
            return self
        ready = copy(self)
        ready._unpacked = np.ascontiguousarray(self._packed_at(np.arange(len(self.keys))))
        return ready

    def rows(self, wanted: Keys) -> Rows:
        """The row of each key (n,), 0 where it is unknown."""
        found = np.minimum(self.keys.searchsorted(wanted), len(self.keys) - 1)
        return np.where(self.keys[found] == wanted, found, 0)

    def take(self, wanted: Keys) -> Floats:
        """The values of each key (n, k)."""
        return self.at(self.rows(wanted))

    def at(self, rows: Rows) -> Floats:
        """The values of some rows (n, k)."""
        return self._packed_at(rows) if self._unpacked is None else self._unpacked[rows]

    def _packed_at(self, rows: Rows) -> Floats:
        bits = np.zeros((len(rows), self._columns.row_bytes + BEHIND), dtype=np.uint8)
        bits[:, :-BEHIND] = self._bits[rows]
        codes = self._columns.codes(bits)
        values = self._columns.plain(codes)
        if len(self._cells):
            self._put_listed(values, rows, codes)
        self._columns.add_rates(values, codes)
        return values if self._wanted is None else values[:, self._wanted]

    def _put_listed(self, values: Floats, rows: Rows, codes: Codes) -> None:
        at = np.flatnonzero(codes == self._columns.escapes)
        row, column = np.divmod(at, codes.shape[1])
        places = np.searchsorted(self._cells, rows[row] * self.width + self._columns.places[column])
        values.reshape(-1)[at] = self._exact[places]


def smoothed(count: Floats, impressions: Floats, added: Number, prior: Number) -> Floats:
    """A rate as dbt's `smoothed_rate` computes it: double throughout, then one cast."""
    with np.errstate(all="ignore"):
        rate = (count.astype(np.float64) + added) / (impressions.astype(np.float64) + prior)
        return np.asarray(rate, dtype=np.float32)


def pack(chunks: Chunks, rates: Sequence[Rate]) -> Arrays:
    """A table's `PARTS` by name.

    Args:
        chunks: gives, each time anew, all keys (n,) and values (n, k) in parts and by key. They are read
            twice, so that one part at a time is in memory.
        rates: columns that may follow from others; one that mostly doesn't is stored.
    """
    described = _described(chunks, rates)
    columns = Columns.every(described)
    parts: dict[str, list[npt.NDArray[Any]]] = {"keys": [], "bits": [], "cells": [], "exact": []}
    rows = 0
    for keys, values in chunks():
        codes = columns.encoded(values)
        listed = np.flatnonzero(codes == columns.escapes)
        parts["keys"].append(keys)
        parts["bits"].append(columns.bits(codes))
        parts["cells"].append(listed + np.int64(rows * values.shape[1]))
        parts["exact"].append(values.reshape(-1)[listed])
        rows += len(keys)
    return {name: np.concatenate(arrays) for name, arrays in parts.items()} | {"columns": described}


def in_chunks(keys: Keys, values: Floats) -> Chunks:
    """Keys and values that are in memory, for `pack`."""

    def parts() -> Iterator[tuple[Keys, Floats]]:
        for begin in range(0, len(keys), CHUNK_ROWS):
            yield keys[begin : begin + CHUNK_ROWS], values[begin : begin + CHUNK_ROWS]

    return parts


def _described(chunks: Chunks, rates: Sequence[Rate]) -> npt.NDArray[Any]:
    """Each column at the width that takes least, cells that must be listed included."""
    seen = Survey(rates)
    for _, values in chunks():
        seen.add(values)
    described = np.zeros(len(seen.needs), dtype=COLUMN)
    costs = []
    for column, need in enumerate(seen.needs):
        width, cost = _cheapest(seen.rows, need)
        described[column] = (width, int(seen.missing[column] and width != RAW), *NO_RATE)
        costs.append(cost)
    for rate, wrong in zip(rates, seen.wrong, strict=True):
        width = int(wrong > 0)
        if seen.rows * width + CELL_BITS * wrong < costs[rate.column]:
            described[rate.column] = (width, 0, rate.of, rate.per, rate.added, rate.prior)
    return described


def _cheapest(rows: int, need: Rows) -> tuple[int, int]:
    """The best width of a column and its cost in bits, for how many cells need 0, 1, … bits (27,)."""
    if need[0] == rows:
        return 0, 0
    costs = {width: rows * width + CELL_BITS * int(need[width + 1 :].sum()) for width in range(2, WIDEST + 1)}
    costs[RAW] = rows * RAW
    width = min(costs, key=costs.__getitem__)
    return width, costs[width]


def _needed(values: Floats) -> tuple[npt.NDArray[np.int32], Mask]:
    """The bits that each cell needs (n, k), with room for the missing value and the escape: 0 for a 0, one
    more than the widest for what is no count; and where values are missing (n, k)."""
    counts, fits = _counts(values)
    missing = _is_missing(values)
    need = np.minimum(np.frexp(counts + np.float32(2))[1], WIDEST + 1)
    need[counts == 0] = 0
    return np.where(fits, need, np.where(missing, 2, WIDEST + 1)), missing


def _counts(values: Floats) -> tuple[Codes, Mask]:
    """Values as whole numbers from 0, and where they are that (n, k)."""
    counts = np.where((values >= 0) & (values < 1 << WIDEST), values, 0).astype(np.uint32)
    return counts, _same(counts.astype(np.float32), values)


def _is_missing(values: Floats) -> Mask:
    return _same(values, np.full_like(values, np.nan))


def _same(some: Floats, others: Floats) -> Mask:
    """Where two matrices have the same bits."""
    return np.asarray(some.view(np.uint32) == others.view(np.uint32))


def _windows(bits: Bits) -> Codes:
    """The four bytes that begin with each one of a row's own."""
    shape = (len(bits), bits.shape[1] - BEHIND)
    return np.ndarray(shape, dtype="<u4", buffer=bits, strides=(bits.shape[1], 1))
