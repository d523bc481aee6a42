"""The online snapshot: features as of one hour in sorted, memory-mapped arrays.

`publishing.publish` writes a folder `<content hash>/` of `.npy` arrays and a `manifest.json`;
`OnlineSnapshot` maps one. Row 0 of every keyed array has key 0 and holds what an unknown key gets.
"""

import json
from collections.abc import Mapping, Sequence, Set
from copy import copy
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from feed_platform.features.blocks import Blocks, Found, Wanted
from feed_platform.features.candidates.lists import Candidates
from feed_platform.features.catalogue import GROUPS
from feed_platform.features.changes import Change, Entities, Names, Owner, apply, merged
from feed_platform.features.keys import Keys, key, keys, pair_keys
from feed_platform.features.on_demand import (
    LOCAL_HOUR,
    ON_DEMAND,
    Encoded,
    as_feature,
    context_values,
    local_hours,
    match,
    matches,
    on_demand,
)
from feed_platform.features.packed import Arrays, Floats, Rows
from feed_platform.features.snapshot_arrays import group_table
from feed_platform.feed import Attributes, FeedError
from feed_platform.settings import Settings

Context = Mapping[str, Any]
NEWEST_CHANGED, FRESH = 200, timedelta(days=1)

ON_DEMAND_BLOCK, CONTEXT, ATTRIBUTES = "on demand", "context", "attributes"
OWNERS: tuple[Owner, ...] = ("posts", "users")


class OnlineSnapshot:
    """What one published folder knows. Immutable, safe to share between threads.

    Example:
        >>> snapshot = OnlineSnapshot.open(settings.online / "3f2a…")            # doctest: +SKIP
        >>> snapshot.matrix(["u1"], ["p1", "p2"], datetime.now(), 1).shape       # doctest: +SKIP
        (2, 84)
    """

    def __init__(self, manifest: dict[str, Any], arrays: Arrays) -> None:
        self.as_of: datetime = datetime.fromisoformat(manifest["as_of"])
        self.names: tuple[str, ...] = tuple(manifest["names"])
        self.hash: str = manifest["content_hash"]
        self._arrays = arrays
        self._users = _entities(arrays, "users")
        self._posts = _entities(arrays, "posts")
        self._declared = Attributes.model_validate(manifest["attributes"])
        self.popular_for: str = manifest["popular_for"]
        tables = {group: group_table(arrays, group) for group in GROUPS}
        self._post_table = tables["post"]
        self._in_post_table = self._post_table.rows(self._posts.keys)
        self._blocks = Blocks(self.names, tables, _computed_blocks(self._declared))
        self._popularity = self.wanted([manifest["popularity"]])
        self._topics = Names.of(_texts(arrays["topics.names"]))
        self._zones = Names.of(_texts(arrays["zones.names"]) if self._declared.time_zone else [None])
        self.candidates = Candidates.of(arrays)
        self.newest_changed: list[str] = []
        self._changed_authors: dict[int, str] = {}
        self.upserts_seen: int | None = None
        self.upserts_at: datetime | None = None

    @classmethod
    def open(cls, folder: Path) -> "OnlineSnapshot":
        """Map a published folder.

        Raises:
            FileNotFoundError: the folder or one of its arrays is missing.
            FeedError: an older release published it.
        """
        manifest = read_manifest(folder)
        return cls(manifest, map_arrays(folder, manifest))

    @classmethod
    def current(cls, settings: Settings) -> "OnlineSnapshot | None":
        """The home's newest snapshot, be it active yet or not; None before the first."""
        folder = current_snapshot(settings)
        return cls.open(folder) if folder else None

    def with_changes(self, changes: Sequence[Change]) -> "OnlineSnapshot":
        """This snapshot with what has changed since, in the order of the changes; the arrays are shared."""
        if not changes:
            return self
        after = copy(self)
        said = {owner: merged([one for one in changes if one.owner == owner]) for owner in OWNERS}
        topics = [fields["topic"] for fields in said["posts"].values() if "topic" in fields]
        after._topics = self._topics.with_more(topics)
        names = {"topic": ("topic", after._topics)}
        after._posts = apply(self._posts, said["posts"], self._declared.posts, names)
        changed = self._post_table.rows(after._posts.changed_keys)
        after._in_post_table = np.concatenate([self._in_post_table[: len(self._posts.keys)], changed])
        after.newest_changed = _newest(after._posts, self.as_of - FRESH)
        named = (fields["author_id"] for fields in said["posts"].values() if fields.get("author_id"))
        after._changed_authors = self._changed_authors | {key(author): author for author in named}
        zone = self._declared.time_zone
        if zone:
            after._zones = self._zones.with_more(
                [fields[zone] for fields in said["users"].values() if zone in fields]
            )
        zones = {"zone": (zone, after._zones)} if zone else {}
        after._users = apply(self._users, said["users"], self._declared.users, zones)
        after.upserts_seen, after.upserts_at = changes[-1].number, changes[-1].received_at
        return after

    def find(self, post_ids: Sequence[str]) -> Found:
        """Look posts up once for all that is asked of them."""
        return Found(post_ids, *self._posts.find(post_ids))

    def wanted(self, names: Sequence[str]) -> Wanted:
        """How to read some features and no others.

        Raises:
            KeyError: the snapshot lacks one.
        """
        return self._blocks.wanted(names)

    def matrix(
        self,
        user_ids: Sequence[str | None],
        post_ids: Sequence[str],
        at: npt.ArrayLike,
        positions: npt.ArrayLike,
        context: Context | Sequence[Context] = (),
        wanted: Wanted | None = None,
    ) -> Floats:
        """Features of n (user, post) pairs, float32 (n, k): all in the order of `names`, or those wanted.

        Args:
            user_ids: n users, or one for all posts; None for an unknown person.
            post_ids: n posts.
            at: when they are shown (UTC, naive): one instant or (n,).
            positions: places in the feed from 1: one number or (n,).
            context: what the callers know: one for all, or n; empty where nobody says.
        """
        return self.rows(keys(user_ids), self.find(post_ids), at, positions, context, wanted)

    def rows(
        self,
        user_keys: Keys,
        posts: Found,
        at: npt.ArrayLike,
        positions: npt.ArrayLike,
        context: Context | Sequence[Context] = (),
        wanted: Wanted | None = None,
    ) -> Floats:
        """As `matrix`, of users' keys and of posts that this snapshot found."""
        wanted = wanted or self._blocks.every
        features = np.empty((len(posts), len(wanted)), dtype=np.float32)
        group_keys = self._group_keys(wanted.tables.keys(), user_keys, posts)
        for group, (table, places) in wanted.tables.items():
            is_post = group == "post"
            features[:, places] = (
                table.at(self._post_rows(posts)) if is_post else table.take(group_keys[group])
            )
        for block, part in wanted.others.items():
            values = self._computed(block, user_keys, posts, at, positions, context)
            features[:, part.places] = values[:, part.columns]
        return features

    def _post_rows(self, posts: Found) -> Rows:
        """The rows of the table of posts' features (n,); it may have posts of which nothing else is known."""
        rows = self._in_post_table[posts.rows]
        if np.count_nonzero(posts.rows) < len(rows):
            unknown = posts.rows == 0
            rows[unknown] = self._post_table.rows(posts.keys[unknown])
        return rows

    def _group_keys(self, groups: Set[str], users: Keys, posts: Found) -> dict[str, Keys]:
        """What the groups' tables are asked for, save the posts' own: people, authors, topics, pairs."""
        found = {"user": users}
        if groups & {"author", "user_author"}:
            found["author"] = self.authors(posts)
            found["user_author"] = pair_keys(users, found["author"])
        if groups & {"topic", "user_topic"}:
            found["topic"] = self._topics.keys[self._posts.column("topic", posts.rows)]
            found["user_topic"] = pair_keys(users, found["topic"])
        return found

    def _computed(
        self,
        block: str,
        user_keys: Keys,
        posts: Found,
        at: npt.ArrayLike,
        positions: npt.ArrayLike,
        context: Context | Sequence[Context],
    ) -> Floats:
        """A block that isn't stored, (n, k) or (1, k)."""
        if block == ON_DEMAND_BLOCK:
            return on_demand(at, self.created_at(posts), positions)
        if block == LOCAL_HOUR:
            return self._local_hours(at, self._users.rows(user_keys))[:, None]
        if block == CONTEXT:
            told = [context] if isinstance(context, Mapping) else context or [{}]
            return np.array([context_values(one, self._declared.context) for one in told], dtype=np.float32)
        return self._attributes(self._users.rows(user_keys), posts.rows)

    def _local_hours(self, at: npt.ArrayLike, users: Rows) -> Floats:
        zones = [self._zones.texts[code] for code in self._users.column("zone", users).tolist()]
        moments = max(np.size(at), len(zones))
        return local_hours(at, zones * moments if len(zones) == 1 else zones)

    def _attributes(self, users: Rows, posts: Rows) -> Floats:
        declared = self._declared
        of_users = {name: self._users.column(f"attr.{name}", users) for name in declared.users}
        of_posts = {name: self._posts.column(f"attr.{name}", posts) for name in declared.posts}
        features = [as_feature(values) for values in (*of_users.values(), *of_posts.values())]
        shared = [match(of_users[name], of_posts[name]) for name in matches(declared)]
        return np.stack(np.broadcast_arrays(*features, *shared), axis=1)

    def knows(self, posts: Found) -> npt.NDArray[np.bool_]:
        """Whether each post was known at `as_of` (n,)."""
        return posts.rows > 0

    def topics(self, posts: Found) -> list[str | None]:
        """Each post's topic; None where it or the post is unknown."""
        return [self._topics.texts[code] for code in self._posts.column("topic", posts.rows).tolist()]

    def authors(self, posts: Found) -> Keys:
        """The key of each post's author (n,); 0 where it or the post is unknown."""
        return self._posts.column("author", posts.rows)

    def author_ids(self, posts: Found) -> list[str | None]:
        """Each post's author (n,); None where unknown, or where the post is no candidate of feeds."""
        found = self.authors(posts)
        known = self.candidates.author_ids(found) if self.candidates else [None] * len(found)
        return [
            author or self._changed_authors.get(int(one)) for one, author in zip(found, known, strict=True)
        ]

    def attribute(self, name: str, posts: Found) -> Encoded:
        """Each post's value of a declared attribute, encoded: (n,), a list (n, 16)."""
        return self._posts.column(f"attr.{name}", posts.rows)

    def popularity(self, posts: Found) -> Floats:
        """Each post's smoothed rate over the longest window (n,); the prior where the post is unknown."""
        ((table, _),) = self._popularity.tables.values()
        return table.at(self._post_rows(posts))[:, 0]

    def created_at(self, posts: Found) -> npt.NDArray[np.datetime64]:
        """When each post was created (n,); NaT where unknown."""
        return self._posts.column("created_at", posts.rows)

    def removed(self, posts: Found, at: datetime) -> npt.NDArray[np.bool_]:
        """Whether each post was removed by an instant, as far as is known (n,)."""
        return np.asarray(self._posts.column("removed_at", posts.rows) <= np.datetime64(at))

    def ids_at(self, rows: npt.NDArray[np.int32]) -> list[str]:
        """The ids of posts by their rows in the published arrays (n,)."""
        return [str(post_id, "utf-8") for post_id in self._arrays["posts.ids"][rows]]

    def keys_at(self, rows: npt.NDArray[np.int32]) -> Keys:
        """As `ids_at`, the keys."""
        return np.asarray(self._arrays["posts.keys"][rows])

    def first_posts(self, count: int) -> list[str]:
        """The first known posts by key, removed or not."""
        return [str(post_id, "utf-8") for post_id in self._arrays["posts.ids"][1 : count + 1]]

    def sample_users(self) -> list[str]:
        """A few people who engaged lately, those who did most first; none in a snapshot of before."""
        return [str(user_id, "utf-8") for user_id in self._arrays.get("sample.users", ())]

    @cached_property
    def posts(self) -> list[str]:
        """The ids of all known posts that weren't removed, by key."""
        removed_at = self._arrays["posts.removed_at"]
        is_there = ~(removed_at <= np.datetime64(self.as_of))
        is_there[0] = False
        return [str(post_id, "utf-8") for post_id in self._arrays["posts.ids"][is_there]]


def _entities(arrays: Arrays, owner: Owner) -> Entities:
    columns = {name: array for name, array in arrays.items() if name.startswith(f"{owner}.")}
    own = {name.removeprefix(f"{owner}."): array for name, array in columns.items()}
    return Entities(own.pop("keys"), own)


def _computed_blocks(declared: Attributes) -> dict[str, int]:
    """The blocks behind the stored features, and how many features each holds."""
    return {
        ON_DEMAND_BLOCK: len(ON_DEMAND),
        LOCAL_HOUR: int(declared.time_zone is not None),
        CONTEXT: len(declared.context),
        ATTRIBUTES: len(declared.users) + len(declared.posts) + len(matches(declared)),
    }


def _newest(posts: Entities, since: datetime) -> list[str]:
    """The ids of the posts that have changed and were created after an instant, the newest first."""
    if not len(posts.changed_keys):
        return []
    created_at = posts.changed["created_at"]
    fresh = np.flatnonzero(created_at > np.datetime64(since))  # NaT is never greater
    rows = fresh[np.argsort(created_at[fresh])[::-1][:NEWEST_CHANGED]]
    return [str(post_id, "utf-8") for post_id in posts.changed["ids"][rows]]


def _texts(names: npt.NDArray[np.bytes_]) -> list[str | None]:
    """Names, of which the first one is nobody's."""
    return [None, *(str(name, "utf-8") for name in names[1:])]


def current_snapshot(settings: Settings) -> Path | None:
    """The published folder that `current.json` names, if any."""
    pointer = settings.online / "current.json"
    return settings.online / json.loads(pointer.read_text())["snapshot"] if pointer.exists() else None


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a published folder says of itself.

    Raises:
        FileNotFoundError: the folder is missing.
        FeedError: an older release published it, whose arrays were others.
    """
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    if f"{GROUPS[0]}.values" in manifest["columns"]:
        raise FeedError(
            f"snapshot {folder.name[:12]} is of an older release: materialize features/online_snapshot again"
        )
    return manifest


def map_arrays(folder: Path, manifest: Mapping[str, Any]) -> Arrays:
    """A published folder's arrays, mapped: without what `np.memmap` does in Python at each look-up."""
    return {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in manifest["columns"]}
