"""Posts and users as a snapshot knows them, and what has changed since its hour, in rows behind its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import repeat
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from feed_platform.features.keys import CACHED, Keys, keys
from feed_platform.features.on_demand import encode
from feed_platform.feed import AttributeKind

Owner = Literal["posts", "users"]
Rows = npt.NDArray[np.int64]
Column = npt.NDArray[Any]
TIMES = frozenset({"created_at", "removed_at"})
TYPES: dict[AttributeKind, pl.DataType] = {
    "category": pl.String(),
    "number": pl.Float64(),
    "list": pl.List(pl.String()),
}


@dataclass(frozen=True)
class Change:
    """What an upsert says of a post or user: the fields that it names, None where it takes one away.

    `number` orders all changes of a home; times are UTC and naive.
    """

    number: int
    owner: Owner
    entity_id: str
    received_at: datetime
    fields: Mapping[str, Any]


@dataclass
class Names:
    """Names that codes point into; the first one is nobody's."""

    texts: list[str | None]
    keys: Keys

    @classmethod
    def of(cls, texts: list[str | None]) -> "Names":
        """With their keys."""
        return cls(texts, keys(texts))

    def with_more(self, texts: Sequence[str | None]) -> "Names":
        """The same codes, and new ones for the names that have none."""
        missing = sorted({text for text in texts if text is not None} - set(self.texts))
        return Names.of([*self.texts, *missing]) if missing else self

    def codes(self, texts: Sequence[str | None]) -> npt.NDArray[np.int32]:
        """Each name's code (n,)."""
        places = {text: place for place, text in enumerate(self.texts)}
        return np.array([places[text] for text in texts], dtype=np.int32)


@dataclass(frozen=True)
class Entities:
    """Posts or users by key: mapped columns, row 0 for the unknown, and behind them the rows that changed.

    `keys` (n,) ascend, as do `changed_keys` (m,), whose rows are n to n + m - 1. `known` remembers rows by
    id, up to `CACHED` of them.
    """

    keys: Keys
    columns: Mapping[str, Column]
    changed_keys: Keys = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    changed: Mapping[str, Column] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)

    def rows(self, wanted: Keys) -> Rows:
        """The row of each key (n,), 0 where it is unknown."""
        return self._changed_or(_places(self.keys, wanted, 0), wanted)

    def find(self, ids: Sequence[str]) -> tuple[Keys, Rows]:
        """The key and the row of each id (n,), as `keys` and `rows` say, without a search for those known."""
        rows = np.fromiter(map(self.known.get, ids, repeat(0)), dtype=np.int64, count=len(ids))
        found = self.keys[rows]
        if np.count_nonzero(rows) < len(rows):
            (new,) = (rows == 0).nonzero()
            found[new], rows[new] = self._search([ids[place] for place in new.tolist()])
        return found, self._changed_or(rows, found)

    def _search(self, ids: Sequence[str]) -> tuple[Keys, Rows]:
        found = keys(ids)
        rows = _places(self.keys, found, 0)
        if len(self.known) >= CACHED:
            self.known.clear()
        self.known.update(pair for pair in zip(ids, rows.tolist(), strict=True) if pair[1])
        return found, rows

    def _changed_or(self, rows: Rows, wanted: Keys) -> Rows:
        """The row of each key (n,) among those that changed; of the others, the one given."""
        if not len(self.changed_keys):
            return rows
        changed = _places(self.changed_keys, wanted, -1)
        return np.where(changed >= 0, changed + len(self.keys), rows)

    def column(self, name: str, rows: Rows) -> Column:
        """A column's values at rows (n, …)."""
        base = self.columns[name]
        if not len(self.changed_keys):
            return np.asarray(base[rows])
        is_changed = rows >= len(self.keys)
        found = base[np.where(is_changed, 0, rows)]
        if is_changed.any():
            changed = self.changed[name]
            found = found.astype(np.result_type(found, changed), copy=False)
            found[is_changed] = changed[rows[is_changed] - len(self.keys)]
        return np.asarray(found)

    def with_rows(self, new_keys: Keys, new: Mapping[str, Column]) -> "Entities":
        """These entities after further changes; the newest row of a key counts."""
        every = np.concatenate([new_keys, self.changed_keys])
        ordered, first = np.unique(every, return_index=True)
        columns = {
            name: np.concatenate([values, self.changed[name]])[first] if self.changed else values[first]
            for name, values in new.items()
        }
        return replace(self, changed_keys=ordered, changed=columns)


def merged(changes: Sequence[Change]) -> dict[str, dict[str, Any]]:
    """What changes of one owner say together, by id: the last word on each field counts."""
    said: dict[str, dict[str, Any]] = {}
    for change in changes:
        said.setdefault(change.entity_id, {}).update(change.fields)
    return said


def apply(
    entities: Entities,
    said: Mapping[str, Mapping[str, Any]],
    kinds: Mapping[str, AttributeKind],
    names: Mapping[str, tuple[str, Names]],
) -> Entities:
    """Entities after changes; fields that are not named keep their values.

    Args:
        said: the named fields by id.
        kinds: the declared attributes.
        names: columns of codes: the field they come from, and the names that the codes point into.
    """
    if not said:
        return entities
    ids = list(said)
    wanted = keys(ids)
    rows = entities.rows(wanted)
    new = {name: entities.column(name, rows).copy() for name in entities.columns}
    if "ids" in new:
        new["ids"] = np.array([one.encode() for one in ids], dtype=np.bytes_)
    for name in TIMES & new.keys():
        _overwrite(new[name], said, name, _instants)
    if "author" in new:
        _overwrite(new["author"], said, "author_id", keys)
    for column, (field_name, known) in names.items():
        _overwrite(new[column], said, field_name, known.codes)
    for name, kind in kinds.items():
        _overwrite(new[f"attr.{name}"], said, name, _encoder(kind))
    return entities.with_rows(wanted, new)


def _instants(values: Sequence[datetime | None]) -> Column:
    return np.array(values, dtype="datetime64[us]")


def _encoder(kind: AttributeKind) -> Any:
    return lambda values: encode(pl.Series(values, dtype=TYPES[kind]), kind)


def _overwrite(column: Column, said: Mapping[str, Mapping[str, Any]], name: str, encoded: Any) -> None:
    """Put the values of a field where it is named."""
    given = [(place, fields[name]) for place, fields in enumerate(said.values()) if name in fields]
    if given:
        column[[place for place, _ in given]] = encoded([value for _, value in given])


def _places(known: Keys, wanted: Keys, missing: int) -> Rows:
    found = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[found] == wanted, found, missing)
