"""64-bit keys of entities, the same in Python and in the lake's SQL.

DuckDB's `md5_number_lower(id)` equals `key(id)`; the key of nothing (null) is 0 in both.
"""

from collections.abc import Iterable
from hashlib import md5

import numpy as np
import numpy.typing as npt

NO_KEY = 0
CACHED = 100_000  # the same posts come in request after request: a hit costs a tenth of a hash

Keys = npt.NDArray[np.uint64]


class _Known(dict[str | None, int]):
    """Keys by id, made when they are first asked for; too many are all forgotten."""

    def __missing__(self, entity_id: str | None) -> int:
        if len(self) >= CACHED:
            self.clear()
        found = self[entity_id] = NO_KEY if entity_id is None else key_once(entity_id)
        return found


_known = _Known()


def key(entity_id: str | None) -> int:
    """The unsigned 64-bit key of an id; 0 for None.

    Example:
        >>> key("ada"), key(None)
        (6437822165237188045, 0)
    """
    return _known[entity_id]


def key_once(entity_id: str) -> int:
    """As `key`, of an id that won't come again: it takes no place from those that do."""
    return int.from_bytes(md5(entity_id.encode(), usedforsecurity=False).digest()[8:], "little")


def keys(entity_ids: Iterable[str | None]) -> Keys:
    """The keys of many ids, in their order (n,)."""
    return np.fromiter(map(_known.__getitem__, entity_ids), dtype=np.uint64)


def pair_keys(first: Keys, second: Keys) -> Keys:
    """The keys of two entities together (n,); 0 where either is missing. `pair_key` in the dbt macros.

    The shift keeps the pair of a user and an author of the same name from being nothing.
    """
    pairs = np.bitwise_xor(first, np.right_shift(second, np.uint64(1)))
    return np.where((first == NO_KEY) | (second == NO_KEY), np.uint64(NO_KEY), pairs)
