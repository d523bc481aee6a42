"""The blocks that a feature matrix is made of, and what of each a model wants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from feed_platform.features.keys import Keys, keys
from feed_platform.features.packed import Rows, Table

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

    def unpacked(self) -> "Wanted":
        """The same, read from memory where a table's part is small enough."""
        tables = {block: (table.unpacked(), places) for block, (table, places) in self.tables.items()}
        return replace(self, tables=tables)


class Blocks:
    """A snapshot's features in the order of `names`: tables of stored ones, then others by their number."""

    def __init__(
        self, names: tuple[str, ...], tables: Mapping[str, Table], others: Mapping[str, int]
    ) -> None:
        self._numbers = {name: number for number, name in enumerate(names)}
        self._tables = tables
        widths = {**{block: table.width for block, table in tables.items()}, **others}
        ends = accumulate(widths.values())
        self._spans = {block: (end - widths[block], end) for block, end in zip(widths, ends, strict=True)}
        self.every = self.wanted(names)

    def wanted(self, names: Sequence[str]) -> Wanted:
        """How to read some features.

        Raises:
            KeyError: one isn't among the names.
        """
        numbers = np.array([self._numbers[name] for name in names], dtype=np.int64)
        tables: dict[str, tuple[Table, Places]] = {}
        others: dict[str, Part] = {}
        for block, (begin, end) in self._spans.items():
            places = np.flatnonzero((numbers >= begin) & (numbers < end))
            columns = numbers[places] - begin
            if not len(places):
                continue
            if block in self._tables:
                tables[block] = (self._tables[block].only(columns), _short(places))
            else:
                others[block] = Part(_short(columns), _short(places))
        return Wanted(tuple(names), tables, others)


def _short(places: Rows) -> Places:
    """A slice where they follow one another: NumPy copies it faster."""
    first, last = int(places[0]), int(places[-1])
    return slice(first, last + 1) if np.array_equal(places, np.arange(first, last + 1)) else places
