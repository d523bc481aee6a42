"""The blocks that a feature matrix is made of, and what of each a model wants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feed_platform.features.keys import Keys, keys
from feed_platform.features.packed import Table

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Places = slice | Rows


@dataclass(frozen=True)
class Found:
    """Posts as a snapshot knows them: `ids` (n,), their `keys` (n,) and `rows` (n,), 0 where unknown."""

    ids: Sequence[str]
    keys: Keys
    rows: Rows

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, places: Rows) -> "Found":
        """Some of them, by their places (m,)."""
        return Found([self.ids[place] for place in places.tolist()], self.keys[places], self.rows[places])


def unknown(post_ids: Sequence[str]) -> Found:
    """Posts where there is no snapshot."""
    return Found(post_ids, keys(post_ids), np.zeros(len(post_ids), dtype=np.int64))


@dataclass(frozen=True)
class Part:
    """A block's `columns` (k,) that a matrix holds, at its `places` (k,)."""

    columns: Places
    places: Places


@dataclass(frozen=True)
class Wanted:
    """The features of a matrix in their order, by block; of stored ones a table that reads them alone."""

    names: tuple[str, ...]
    tables: Mapping[str, tuple[Table, Places]]
    others: Mapping[str, Part]

    def __len__(self) -> int:
        return len(self.names)


class Blocks:
    """A snapshot's features in the order of `names`: tables of stored ones, then others by their number."""

    def __init__(
        self, names: tuple[str, ...], tables: Mapping[str, Table], others: Mapping[str, int]
    ) -> None:
        self._numbers = {name: number for number, name in enumerate(names)}
        self._tables = tables
        widths = {**{block: table.width for block, table in tables.items()}, **others}
        ends = np.cumsum(list(widths.values())).tolist()
        self._ends = dict(zip(widths, ends, strict=True))
        self._widths = widths
        self.every = self.wanted(names)

    def wanted(self, names: Sequence[str]) -> Wanted:
        """How to read some features.

        Raises:
            KeyError: one isn't among the names.
        """
        numbers = np.array([self._numbers[name] for name in names], dtype=np.int64)
        parts = {block: self._part(block, numbers) for block in self._widths}
        found = {block: part for block, part in parts.items() if part is not None}
        tables = {
            block: (self._narrow(table, found[block].columns), found[block].places)
            for block, table in self._tables.items()
            if block in found
        }
        others = {block: part for block, part in found.items() if block not in tables}
        return Wanted(tuple(names), tables, others)

    def _part(self, block: str, numbers: Rows) -> Part | None:
        begin, end = self._ends[block] - self._widths[block], self._ends[block]
        places = np.flatnonzero((numbers >= begin) & (numbers < end))
        return Part(_short(numbers[places] - begin), _short(places)) if len(places) else None

    @staticmethod
    def _narrow(table: Table, columns: Places) -> Table:
        if isinstance(columns, slice):
            columns = np.arange(columns.start, columns.stop)
        return table if np.array_equal(columns, np.arange(table.width)) else table.only(columns)


def _short(places: Rows) -> Places:
    """A slice where they follow one another: NumPy copies it faster."""
    first, last = int(places[0]), int(places[-1])
    return slice(first, last + 1) if np.array_equal(places, np.arange(first, last + 1)) else places
