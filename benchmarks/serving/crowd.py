"""Snapshots of a crowd: so many people and posts, 8 topic and 12 author pairs each, counts like a log's."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from feed_platform.features import publishing
from feed_platform.features.catalogue import stored_names
from feed_platform.features.keys import Keys
from feed_platform.features.packed import CHUNK_ROWS, Arrays, Floats, Rate, smoothed
from feed_platform.features.project import IMPRESSIONS, definitions, rates
from feed_platform.features.snapshot_arrays import packed_group
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

ROWS = {"user": 1, "user_topic": 8, "user_author": 12}  # a person
SHOWN = {"user": 200.0, "post": 1_000.0, "user_topic": 25.0, "user_author": 6.0}  # in the longest window
GLOBAL_RATE = 0.1 / 3
DWELL_MS = 4_000.0


def grow(settings: Settings, base: Arrays, users: int, posts: int, as_of: datetime) -> dict[str, str]:
    """Write the base's snapshot with more people and posts; what `current.json` says of it."""
    rng = np.random.default_rng(as_of.hour)
    arrays = dict(base)
    more = {group: users * pairs for group, pairs in ROWS.items()} | {"post": posts}
    for group, rows in more.items():
        arrays |= _group(rng, group, np.unique(np.concatenate([arrays[f"{group}.keys"], _keys(rng, rows)])))
    arrays |= _entities(rng, arrays, "users", arrays["user.keys"]) | _posts(rng, arrays)
    made = publishing._manifest(samples.FEED, as_of, 1, arrays)
    folder = settings.online / made["content_hash"]
    publishing._write(folder, made, arrays)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"snapshot as of {as_of:%H:%M}: {size / 2**20:,.0f} MiB", flush=True)
    return {"snapshot": folder.name, "as_of": as_of.isoformat(), "active_at": as_of.isoformat()}


def load_base(settings: Settings) -> Arrays:
    """The arrays of the home's one snapshot."""
    folder = next(path for path in settings.online.iterdir() if path.is_dir())
    manifest = json.loads((folder / "manifest.json").read_text())
    return {name: np.load(folder / f"{name}.npy") for name in manifest["columns"]}


def _keys(rng: np.random.Generator, count: int) -> Keys:
    return rng.integers(1, 2**63, count, dtype=np.uint64)


def _group(rng: np.random.Generator, group: str, keys: Keys) -> Arrays:
    """Rows of a pool, the same ones each time they are read."""
    seed, pool = int(rng.integers(2**32)), _values(rng, group, CHUNK_ROWS)

    def chunks() -> Iterator[tuple[Keys, Floats]]:
        own = np.random.default_rng(seed)
        for begin in range(0, len(keys), CHUNK_ROWS):
            some = keys[begin : begin + CHUNK_ROWS]
            yield some, pool[own.integers(0, len(pool), len(some))]

    return packed_group(group, chunks, group_rates(group))


def group_rates(group: str) -> list[Rate]:
    """A group's smoothed rates at one global rate."""
    places = {name: place for place, name in enumerate(stored_names(group, samples.FEED))}
    prior = definitions().prior_impressions
    return [
        Rate(
            places[f"{group}_{rate}_{window}"],
            places[f"{group}_{measure}_{window}"],
            places[f"{group}_{IMPRESSIONS}_{window}"],
            prior * GLOBAL_RATE,
            prior,
        )
        for window in definitions().windows[group]
        for rate, measure in rates(samples.FEED).items()
    ]


def _values(rng: np.random.Generator, group: str, rows: int) -> Floats:
    """Rows (n, k): impressions with a heavy tail, nested by window; events and dwell in proportion."""
    names = stored_names(group, samples.FEED)
    values = np.zeros((rows, len(names)), dtype=np.float32)
    hours = definitions().window_hours
    longest = hours[definitions().windows[group][-1]]
    activity = rng.gamma(0.5, 2 * SHOWN[group], rows)
    shown = {
        window: rng.poisson(activity * hours[window] / longest) for window in definitions().windows[group]
    }
    for place, name in enumerate(names):
        window = name.rsplit("_", 1)[-1]
        if "_hours_since_" in name:
            values[:, place] = np.where(rng.random(rows) < 0.2, np.nan, rng.integers(0, longest, rows))
        elif window in shown:
            values[:, place] = _measure(rng, name, shown[window])
    for rate in group_rates(group):
        values[:, rate.column] = smoothed(values[:, rate.of], values[:, rate.per], rate.added, rate.prior)
    return values


def _measure(rng: np.random.Generator, name: str, shown: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    if IMPRESSIONS in name:
        return shown
    if "dwell_ms" in name:
        return (rng.gamma(1.0, DWELL_MS, len(shown)) * shown).astype(np.int64)
    return rng.binomial(shown, 0.1 if "_clicks_" in name else 0.02)


def _entities(rng: np.random.Generator, arrays: Mapping[str, Any], owner: str, keys: Keys) -> Arrays:
    """An owner's columns for more keys: rows of the base's, drawn at random; its own keep theirs."""
    known = arrays[f"{owner}.keys"]
    rows = rng.integers(1, len(known), len(keys))
    rows[np.searchsorted(keys, known)] = np.arange(len(known))
    columns = {name: array for name, array in arrays.items() if name.startswith(f"{owner}.")}
    return {name: array[rows] for name, array in columns.items()} | {f"{owner}.keys": keys}


def _posts(rng: np.random.Generator, arrays: Mapping[str, Any]) -> Arrays:
    """As `_entities`, each further post with an id of its own."""
    keys = arrays["post.keys"]
    posts = _entities(rng, arrays, "posts", keys)
    ids = np.array([b"", *(f"post-{number}".encode() for number in range(1, len(keys)))])
    ids[np.searchsorted(keys, arrays["posts.keys"])] = arrays["posts.ids"]
    return posts | {"posts.ids": ids}
