"""What the service's log segments hold beyond the last import."""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

import duckdb
import msgspec
import polars as pl

from feed_platform.interactions.segments import find_segments, read_records
from feed_platform.settings import Settings

UPSERTS = "upserts"
KINDS = ("feedback", "requests", UPSERTS)

Record = TypeVar("Record")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Logged(Generic[Record]):
    """A record and where it lies: the segment, and the byte at which it begins."""

    record: Record
    file: str
    byte: int


@dataclass(frozen=True)
class Tail:
    """How far a segment is read now: `end` in bytes, what lies torn after it, what was passed over.

    `damaged_bytes` lay between the records that this reading found, `unreadable` counts records that
    are whole but not understood.
    """

    file: str
    end: int
    torn_bytes: int
    damaged_bytes: int = 0
    unreadable: int = 0


def read_tails(
    con: duckdb.DuckDBPyConnection, settings: Settings, kind: str, decode: Callable[[bytes], Record]
) -> tuple[list[Logged[Record]], list[Tail]]:
    """Read the new records of a kind (`requests`, `feedback`), and how far its segments are read.

    Open segments are read too. A record that isn't understood is counted and left in its segment.
    """
    done = _imported_bytes(con)
    found: list[Logged[Record]] = []
    tails = []
    for path in find_segments(settings.logs / kind).values():
        file = name_of(settings, path)
        with suppress(FileNotFoundError):  # one that held nothing durable, or that upkeep has removed
            known, tail = _read_tail(file, path, done.get(file, 0), decode)
            found += known
            tails.append(tail)
    return found, tails


def name_of(settings: Settings, segment: Path) -> str:
    """A segment's name in `serving.segments`, the same open and closed."""
    return segment.with_suffix("").relative_to(settings.root).as_posix()


def keep_offsets(con: duckdb.DuckDBPyConnection, tails: list[Tail], imported_at: datetime) -> None:
    """Note in `serving.segments` how far each segment is imported, in the import's transaction."""
    frame = pl.DataFrame(
        [(tail.file, tail.end, tail.torn_bytes) for tail in tails],
        schema={"file": pl.String, "imported_bytes": pl.Int64, "torn_bytes": pl.Int64},
        orient="row",
    )
    con.register("tails_now", frame)
    con.execute(
        "create or replace temp table tails_moved as "
        "from tails_now anti join serving.segments using (file, imported_bytes, torn_bytes)"
    )
    con.execute("delete from serving.segments where file in (select file from tails_moved)")
    con.execute(
        "insert into serving.segments select file, imported_bytes, torn_bytes, ? from tails_moved",
        [imported_at],
    )
    con.unregister("tails_now")


def forget_offsets(con: duckdb.DuckDBPyConnection, files: Collection[str]) -> None:
    """Drop the offsets of segments that are gone, inside the caller's write transaction."""
    con.execute("delete from serving.segments where list_contains($files, file)", {"files": list(files)})


def _imported_bytes(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return dict(con.execute("select file, imported_bytes from serving.segments").fetchall())


def _read_tail(
    file: str, path: Path, start: int, decode: Callable[[bytes], Record]
) -> tuple[list[Logged[Record]], Tail]:
    read = read_records(path, start)
    if read.damaged_bytes:
        log.warning("%s: %d damaged bytes after byte %d passed over", file, read.damaged_bytes, start)
    known = list(_decoded(file, read.begins, read.payloads, decode))
    unreadable = len(read.payloads) - len(known)
    return known, Tail(file, read.offset, read.torn_bytes, read.damaged_bytes, unreadable)


def _decoded(
    file: str, begins: list[int], payloads: list[bytes], decode: Callable[[bytes], Record]
) -> Iterator[Logged[Record]]:
    for byte, payload in zip(begins, payloads, strict=True):
        try:
            yield Logged(decode(payload), file, byte)
        except msgspec.DecodeError as error:
            log.warning("%s, byte %d: a record that is not understood: %s", file, byte, error)
