"""Tiny snapshots and bundles, written by the platform's own writers."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from feed_platform.features import online, publishing
from feed_platform.features.catalogue import GROUPS, feature_names, stored_names
from feed_platform.features.keys import key, keys, pair_keys
from feed_platform.features.on_demand import encode
from feed_platform.features.packed import in_chunks
from feed_platform.features.snapshot_arrays import packed_group
from feed_platform.feed import Feed, save_feed
from feed_platform.learning import registry, tracking
from feed_platform.learning.bundle import Bundle, Head
from feed_platform.learning.calibration import Identity
from feed_platform.learning.registry import ModelVersion
from feed_platform.learning.scorers import Logistic
from feed_platform.serving import pointer
from feed_platform.serving.pointer import Deployed, Pointer
from feed_platform.settings import Settings

FEED = Feed(name="tiny", start=date(2026, 1, 1))
AS_OF = datetime(2026, 1, 10, 9)
POSTS = 50
REMOVED = "p3"


def _sorted(rows: dict[int, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    keys = sorted(rows)
    return np.array(keys, dtype=np.uint64), np.array([rows[one] for one in keys], dtype=np.float32)


def _group(group: str, feed: Feed, ids: Iterable[int]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(len(group))
    rows = {one: rng.random(len(stored_names(group, feed))) for one in (0, *ids)}
    ordered, values = _sorted(rows)
    return packed_group(group, in_chunks(ordered, values))


def _pairs(users: Iterable[str], others: Sequence[str]) -> list[int]:
    return [int(pair) for user in users for pair in pair_keys(keys([user] * len(others)), keys(others))]


def publish_snapshot(
    settings: Settings, as_of: datetime = AS_OF, feed: Feed = FEED, n_posts: int = POSTS, n_users: int = 20
) -> Path:
    """Posts p0, p1, … of two topics, `p3` removed; users u0, u1, …"""
    posts = {f"p{n}": n for n in range(n_posts)}
    users = {f"u{n}": n for n in range(n_users)}
    topics, authors = ("art", "sport"), ("ann", "ben", "u1")
    ids = {
        "user": [key(user) for user in users],
        "post": [key(post) for post in posts],
        "author": [key(author) for author in authors],
        "topic": [key(topic) for topic in topics],
        "user_topic": _pairs(users, topics),
        "user_author": _pairs(users, authors),
    }
    arrays = {name: array for group in GROUPS for name, array in _group(group, feed, ids[group]).items()}
    ordered = sorted(posts, key=key)
    created = [as_of - timedelta(hours=posts[post] + 1) for post in ordered]
    removed = [as_of - timedelta(hours=1) if post == REMOVED else None for post in ordered]
    arrays |= {
        "posts.keys": np.array([0, *map(key, ordered)], dtype=np.uint64),
        "posts.ids": np.array([b"", *(post.encode() for post in ordered)]),
        "posts.author": np.array([0, *(key(authors[posts[post] % 3]) for post in ordered)], dtype=np.uint64),
        "posts.topic": np.array([0, *(1 + posts[post] % 2 for post in ordered)], dtype=np.int32),
        "posts.created_at": np.array([None, *created], dtype="datetime64[us]"),
        "posts.removed_at": np.array([None, *removed], dtype="datetime64[us]"),
        "topics.names": np.array([b"", *(topic.encode() for topic in topics)]),
        "users.keys": np.array([0, *sorted(map(key, users))], dtype=np.uint64),
    }
    arrays |= _attributes(feed, [posts[post] for post in ordered])
    arrays |= _candidates({post: row for row, post in enumerate(ordered, start=1)}, sorted(authors, key=key))
    manifest = publishing._manifest(feed, as_of, 1, arrays)
    folder = settings.online / manifest["content_hash"]
    if not folder.exists():
        publishing._write(folder, manifest, arrays)
    publishing._point_at(settings.online, folder, as_of, as_of)
    return folder


ENGAGED, SEEN, HIDDEN = "p10", ("p0", "p1"), "p2"
NEAR = ("p40", "p41")


def _candidates(rows: dict[str, int], authors: Sequence[str]) -> dict[str, np.ndarray]:
    """All posts are fresh, p49 … p30 trending. `u1` engages with p10 of art, whose neighbours are `NEAR`, and
    with nothing else; `u2` has seen `SEEN` and hidden `HIDDEN`."""
    users = sorted(("u1", "u2"), key=key)

    def of(owners: int, lists: Mapping[int, Sequence[int]], name: str) -> dict[str, np.ndarray]:
        every = [lists.get(owner, ()) for owner in range(owners)]
        return {
            f"feed.{name}.offsets": np.cumsum([0, *map(len, every)], dtype=np.uint32),
            f"feed.{name}.items": np.array([item for one in every for item in one], dtype=np.int32),
        }

    def of_user(user: str, items: Sequence[int], name: str) -> dict[str, np.ndarray]:
        return of(len(users), {users.index(user): items}, name)

    by_topic = {1 + topic: [rows[f"p{n}"] for n in range(topic, 20, 2)] for topic in range(2)}
    ann = authors.index("ann")
    return {
        "feed.fresh": np.array([rows[f"p{n}"] for n in range(POSTS)], dtype=np.int32),
        "feed.trending": np.array([rows[f"p{n}"] for n in range(49, 29, -1)], dtype=np.int32),
        "feed.author_keys": np.array([key(author) for author in authors], dtype=np.uint64),
        "feed.author_ids": np.array([author.encode() for author in authors]),
        "feed.users": np.array([key(user) for user in users], dtype=np.uint64),
        **of(3, by_topic, "of_topic"),
        **of(len(authors), {ann: [rows["p0"], rows["p6"]]}, "of_author"),
        **of_user("u1", [1], "user_topics"),
        **of_user("u1", [ann], "user_authors"),
        **of_user("u1", [rows[ENGAGED]], "user_engaged"),
        **of_user("u2", [rows[post] for post in SEEN], "user_seen"),
        **of_user("u2", [rows[HIDDEN]], "user_hidden"),
        **of(POSTS + 1, {rows[ENGAGED]: [rows[post] for post in NEAR]}, "similar"),
    }


def open_snapshot(settings: Settings, feed: Feed) -> online.OnlineSnapshot:
    """The snapshot of a feed whose posts have a language, flags and a length by their number."""
    return online.OnlineSnapshot.open(publish_snapshot(settings, feed=feed))


def _attributes(feed: Feed, posts: Sequence[int]) -> dict[str, np.ndarray]:
    """Every third post is in German, others in French; p0, p4, … are spam, p2, p6, … nsfw."""
    values: dict[str, list[Any]] = {
        "language": [None, *("de" if n % 3 == 0 else "fr" for n in posts)],
        "flags": [None, *({0: ["spam"], 2: ["nsfw"]}.get(n % 4, []) for n in posts)],
        "length": [None, *(float(n) for n in posts)],
    }
    types: dict[str, pl.DataType | type[pl.DataType]] = {
        "language": pl.String,
        "flags": pl.List(pl.String),
        "length": pl.Float64,
    }
    return {
        f"posts.attr.{name}": encode(pl.Series(name, values[name], dtype=types[name]), kind)
        for name, kind in feed.attributes.posts.items()
    }


def make_bundle(seed: int, feed: Feed = FEED) -> Bundle:
    """A logistic model with random weights."""
    return make_bundle_of(feature_names(feed), seed)


def make_bundle_of(names: tuple[str, ...], seed: int) -> Bundle:
    """As `make_bundle`, on features of these names."""
    rng = np.random.default_rng(seed)
    width = len(names)
    scorer = Logistic(tuple(rng.normal(size=width).tolist()), -1.0, (0.5,) * width, (1.0,) * width)
    rows = rng.random((4, width)).astype(np.float32)
    head = Head("click", 1.0, scorer, Identity())
    return Bundle.build(
        kind="logistic", features=names, heads=(head,), lake_version=1, reference={}, rows=rows
    )


def point_at(settings: Settings, bundle: Bundle, version: str) -> Deployed:
    """Export a bundle and name it in the pointer."""
    deployed = Deployed(bundle.save(settings.models), version)
    known = pointer.read(settings)
    pointer.write(settings, known.moved_to(deployed) if known else Pointer(deployed))
    return deployed


def fill(settings: Settings, feed: Feed = FEED) -> None:
    """A home that is ready to serve: feed.toml, snapshot, version 1."""
    save_feed(settings, feed)
    publish_snapshot(settings, feed=feed)
    point_at(settings, make_bundle(1, feed), "1")


def now_text() -> str:
    """This instant as the API takes it."""
    return datetime.now(UTC).isoformat()


def registered(settings: Settings, seed: int) -> ModelVersion:
    """A version with random weights, among a run's artifacts as training leaves it."""
    bundle, client = make_bundle(seed), registry.client(settings)
    tracking._ensure_experiment(settings)
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    assert experiment
    run_id = client.create_run(experiment.experiment_id).info.run_id
    folder = settings.models / bundle.save(settings.models)
    client.log_artifacts(run_id, str(folder), f"{registry.BUNDLES}/{bundle.version}")
    return registry.register(settings, run_id, bundle)
