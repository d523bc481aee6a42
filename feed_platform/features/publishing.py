"""The publishing of online snapshots: immutable folders named by their content, one pointer."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from feed_platform.features.builds import last_build
from feed_platform.features.candidates.arrays import read_candidates, read_neighbours
from feed_platform.features.catalogue import feature_names, popularity_name
from feed_platform.features.online import OnlineSnapshot
from feed_platform.features.packed import Arrays
from feed_platform.features.snapshot_arrays import content_hash, read_arrays
from feed_platform.feed import Feed, write_atomically
from feed_platform.lake import Lake
from feed_platform.settings import Settings

KEPT = 3
SELF_TEST = "self_test"
TESTED_POSTS = 4


def publish(settings: Settings, lake: Lake, feed: Feed) -> Path:
    """Write the last good build's features and candidates as an immutable folder; `current.json` names it.

    Returns the folder, named by its content: publishing the same build again changes nothing.
    Of older folders the newest two stay, for replicas that are just opening one.

    Raises:
        FeedError: no features have been built yet.
    """
    with lake.read() as con:
        build = last_build(con)
    with lake.read(build.lake_version) as con:
        arrays = read_arrays(con, feed, build.sealed_until)
        arrays |= read_candidates(con, feed, build.sealed_until, arrays)
    with lake.read() as con:
        arrays |= read_neighbours(con, arrays)
    manifest = _manifest(feed, build.sealed_until, build.lake_version, arrays)
    folder = settings.online / manifest["content_hash"]
    if not folder.exists():
        _write(folder, manifest, arrays)
    _point_at(settings.online, folder, build.sealed_until + feed.feature_delay, build.sealed_until)
    _prune(settings.online, folder)
    return folder


def _manifest(feed: Feed, as_of: datetime, lake_version: int, arrays: Arrays) -> dict[str, Any]:
    columns = {name: {"dtype": array.dtype.str, "shape": array.shape} for name, array in arrays.items()}
    names = feature_names(feed)
    schema = schema_text(names, {name: array.dtype.str for name, array in arrays.items()})
    manifest = {
        "as_of": as_of.isoformat(),
        "lake_version": lake_version,
        "schema_hash": content_hash(schema, {}),
        "content_hash": content_hash(content_text(as_of.isoformat(), schema), arrays),
        "names": names,
        "popularity": popularity_name(feed),
        "popular_for": feed.objectives[0].event,
        "attributes": feed.attributes.model_dump(mode="json"),
        "columns": columns,
    }
    return {**manifest, SELF_TEST: self_test(OnlineSnapshot(manifest, arrays))}


def schema_text(names: Sequence[str], dtypes: Mapping[str, str]) -> str:
    """What a snapshot's arrays are, in one line: its hash is the schema's."""
    return json.dumps([names, dtypes])


def content_text(as_of: str, schema: str) -> str:
    """What the content's hash covers besides the arrays."""
    return f"{as_of} {schema}"


def self_test(snapshot: OnlineSnapshot) -> list[list[float | None]]:
    """A few feature rows of a new person, each value rounded; missing is None."""
    matrix = snapshot.matrix([None], snapshot.first_posts(TESTED_POSTS), np.datetime64(snapshot.as_of), 1)
    return [[None if np.isnan(cell) else round(float(cell), 3) for cell in row] for row in matrix]


def _write(folder: Path, manifest: dict[str, Any], arrays: Arrays) -> None:
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    draft.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(draft / f"{name}.npy", array)
    (draft / "manifest.json").write_text(json.dumps(manifest, indent=1))
    draft.rename(folder)


def _point_at(online: Path, folder: Path, earliest: datetime, as_of: datetime) -> None:
    pointer = online / "current.json"
    if pointer.exists() and json.loads(pointer.read_text())["snapshot"] == folder.name:
        return
    active_at = max(earliest, datetime.now(UTC).replace(tzinfo=None))
    facts = {"snapshot": folder.name, "as_of": as_of.isoformat(), "active_at": active_at.isoformat()}
    write_atomically(pointer, json.dumps(facts))


def _prune(online: Path, current: Path) -> None:
    folders = sorted(
        (path for path in online.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime
    )
    for folder in folders[:-KEPT]:
        if folder != current:
            shutil.rmtree(folder)
