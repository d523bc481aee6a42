"""Whether a published snapshot is what was published: its content, its schema, its recorded answers."""

from pathlib import Path
from typing import Any

import numpy as np

from feed_platform.features.online import OnlineSnapshot, map_arrays, read_manifest
from feed_platform.features.packed import Arrays
from feed_platform.features.publishing import SELF_TEST, content_text, schema_text, self_test
from feed_platform.features.snapshot_arrays import content_hash
from feed_platform.feed import FeedError

TOLERANCE = 1e-3


def open_checked(folder: Path) -> OnlineSnapshot:
    """Map a published folder after reading it once, whole.

    Raises:
        FeedError: an older release published it, an array is missing, or anything differs from what was
            published.
    """
    try:
        manifest = read_manifest(folder)
        arrays = map_arrays(folder, manifest)
        _check_content(folder, manifest, arrays)
        snapshot = OnlineSnapshot(manifest, arrays)
        _check_answers(manifest, snapshot)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise FeedError(f"snapshot {folder.name[:12]} can't be read ({error}): publish it again") from error
    return snapshot


def _check_content(folder: Path, manifest: dict[str, Any], arrays: Arrays) -> None:
    dtypes = {name: array.dtype.str for name, array in arrays.items()}
    schema = schema_text(manifest["names"], dtypes)
    if content_hash(schema, {}) != manifest["schema_hash"]:
        raise FeedError(f"snapshot {folder.name[:12]} has another schema than it says: publish it again")
    found = content_hash(content_text(manifest["as_of"], schema), arrays)
    if not found == manifest["content_hash"] == folder.name:
        raise FeedError(f"snapshot {folder.name[:12]} is not what its hash names: publish it again")


def _check_answers(manifest: dict[str, Any], snapshot: OnlineSnapshot) -> None:
    recorded = np.array(manifest[SELF_TEST], dtype=np.float64)
    found = np.array(self_test(snapshot), dtype=np.float64)
    if recorded.shape != found.shape or not np.allclose(recorded, found, atol=TOLERANCE, equal_nan=True):
        raise FeedError(f"snapshot {snapshot.hash[:12]} fails its self-test: other code published it")
