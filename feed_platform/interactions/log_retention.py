"""Log segments that are wholly in the lake and old enough go."""

from collections.abc import Iterator
from pathlib import Path

from feed_platform.interactions.log_tails import KINDS, UPSERTS, forget_offsets, name_of
from feed_platform.interactions.segments import find_segments, has_writer
from feed_platform.lake import Lake
from feed_platform.settings import Settings


def remove_imported(settings: Settings, lake: Lake, before: float, upserts_before: float) -> int:
    """Remove segments that were last written before an instant and are imported to their end; how many.

    A torn end that the import has seen counts as its end. The newest segment of upserts stays: their
    numbers go on from it.

    Args:
        before: seconds since the epoch.
        upserts_before: the same for upserts; what is younger, a starting replica reads from the log.
    """
    with lake.read() as con:
        read = dict(con.execute("select file, imported_bytes + torn_bytes from serving.segments").fetchall())
    limits = dict.fromkeys(KINDS, before) | {UPSERTS: min(before, upserts_before)}
    gone = [
        path
        for kind, limit in limits.items()
        for path in _settled(settings, kind)
        if path.stat().st_mtime < limit and read.get(name_of(settings, path)) == path.stat().st_size
    ]
    for path in gone:
        path.unlink()
    _forget(settings, lake, set(read))
    return len(gone)


def _settled(settings: Settings, kind: str) -> Iterator[Path]:
    """Segments that nobody writes to any more; any replica may go on with the newest one of upserts."""
    found = list(find_segments(settings.logs / kind).values())
    if kind == UPSERTS:
        found = found[:-1]
    return (path for path in found if not has_writer(path))


def _forget(settings: Settings, lake: Lake, files: set[str]) -> None:
    """Drop the offsets of segments that aren't there any more: their names never come again."""
    there = {
        name_of(settings, path) for kind in KINDS for path in find_segments(settings.logs / kind).values()
    }
    missing = sorted(files - there)
    if missing:
        with lake.write("removed log segments forgotten") as con:
            forget_offsets(con, missing)
