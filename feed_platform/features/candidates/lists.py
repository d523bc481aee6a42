"""The candidates of one snapshot: whose lists hold which posts, in mapped arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feed_platform.features.keys import Keys
from feed_platform.features.snapshot_arrays import Arrays

Rows = npt.NDArray[np.int32]
NOTHING: Rows = np.empty(0, dtype=np.int32)
NOBODY = -1


@dataclass(frozen=True)
class Lists:
    """Lists of many owners, one behind another: `offsets` (owners + 1,), `items`."""

    offsets: npt.NDArray[np.uint32]
    items: Rows

    def of(self, owner: int) -> Rows:
        """One owner's list; empty for `NOBODY`."""
        return NOTHING if owner < 0 else self.items[int(self.offsets[owner]) : int(self.offsets[owner + 1])]

    def of_each(self, owners: Rows) -> Rows:
        """Several owners' lists: every first item, then every second, each item once."""
        return interleave([self.of(owner) for owner in owners.tolist()])


class Candidates:
    """What `arrays.read_candidates` and `read_neighbours` describe. Posts are rows of the snapshot."""

    def __init__(self, arrays: Arrays) -> None:
        self.fresh: Rows = arrays["feed.fresh"]
        self.trending: Rows = arrays["feed.trending"]
        self._author_keys: Keys = arrays["feed.author_keys"]
        self._author_ids = arrays["feed.author_ids"]
        self._users: Keys = arrays["feed.users"]
        self._lists = {
            name.removeprefix("feed.").removesuffix(".items"): Lists(
                arrays[name.removesuffix("items") + "offsets"], items
            )
            for name, items in arrays.items()
            if name.startswith("feed.") and name.endswith(".items")
        }

    @classmethod
    def of(cls, arrays: Arrays) -> "Candidates | None":
        """Those of a snapshot; None where an older release published it."""
        return cls(arrays) if "feed.users" in arrays else None

    @property
    def counts(self) -> dict[str, int]:
        """How much there is of each, in words."""
        kept = {"people with lists": len(self._users), "fresh posts": len(self.fresh)}
        return kept | {"trending posts": len(self.trending), "neighbours": len(self._lists["similar"].items)}

    def user(self, user_key: int) -> int:
        """A person's place; `NOBODY` where there is none."""
        return _place(self._users, user_key)

    def by_topic(self, user: int) -> Rows:
        """Posts of the topics that a person engages with."""
        return self._lists["of_topic"].of_each(self._lists["user_topics"].of(user))

    def by_author(self, user: int) -> Rows:
        """Posts of the authors that a person engages with."""
        return self._lists["of_author"].of_each(self._lists["user_authors"].of(user))

    def similar(self, user: int) -> Rows:
        """Neighbours of the posts that a person last engaged with."""
        return self._lists["similar"].of_each(self._lists["user_engaged"].of(user))

    def left_out(self, user: int) -> Rows:
        """What a person has seen or hidden."""
        return np.concatenate([self._lists[name].of(user) for name in ("user_seen", "user_hidden")])

    def author_ids(self, author_keys: Keys) -> list[str | None]:
        """The names of authors; None where unknown."""
        places = [_place(self._author_keys, int(one)) for one in author_keys]
        return [None if place < 0 else str(self._author_ids[place], "utf-8") for place in places]


def interleave(lists: Sequence[Rows], most: int | None = None) -> Rows:
    """Every list's first item, then every second, …: each item once, at most so many.

    Example:
        >>> interleave([np.array([1, 2, 3]), np.array([2, 4])]).tolist()
        [1, 2, 4, 3]
    """
    if not lists:
        return NOTHING
    turns = np.concatenate([np.arange(len(one)) for one in lists])
    items = np.concatenate(lists)[np.argsort(turns, kind="stable")]
    first = np.sort(np.unique(items, return_index=True)[1])
    return items[first[:most]]


def _place(known: Keys, wanted: int) -> int:
    if not len(known):
        return NOBODY
    place = min(int(np.searchsorted(known, np.uint64(wanted))), len(known) - 1)
    return place if int(known[place]) == wanted else NOBODY
