"""What the service's log segments hold beyond the last import."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Generic, TypeVar

import duckdb
import msgspec
import polars as pl

from feed_platform.interactions.segments import HEADER, find_segments, read_from
from feed_platform.settings import Settings

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
    """How far a segment is read now: `end` in bytes, what lies torn after it, records not understood."""

    file: str
    end: int
    torn_bytes: int
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
    for name, path in find_segments(settings.logs / kind).items():
        file = (settings.logs / kind / name).relative_to(settings.root).as_posix()
        start = done.get(file, 0)
        payloads, end, torn_bytes = read_from(path, start)
        known = list(_decoded(file, start, payloads, decode))
        found += known
        tails.append(Tail(file, end, torn_bytes, len(payloads) - len(known)))
    return found, tails


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


def _imported_bytes(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return dict(con.execute("select file, imported_bytes from serving.segments").fetchall())


def _decoded(
    file: str, start: int, payloads: list[bytes], decode: Callable[[bytes], Record]
) -> Iterator[Logged[Record]]:
    begins = accumulate((HEADER.size + len(payload) for payload in payloads), initial=start)
    for byte, payload in zip(begins, payloads, strict=False):
        try:
            yield Logged(decode(payload), file, byte)
        except msgspec.DecodeError as error:
            log.warning("%s, byte %d: a record that is not understood: %s", file, byte, error)
