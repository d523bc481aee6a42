"""A person's records out of the service's log segments, imported or not.

A segment's name never comes again and its offset stays good, so a rewritten one gets a new name:
its offset is committed first, then the files change places. Killed at any point, a second run ends it.
"""

import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb
import msgspec

from feed_platform.interactions.log_tails import KINDS, UPSERTS, forget_offsets, name_of
from feed_platform.interactions.records import (
    FeedbackRecord,
    RequestRecord,
    decode_feedback,
    decode_request,
)
from feed_platform.interactions.segments import CLOSED, HEADER, Records, find_segments, pack, read_records
from feed_platform.interactions.upsert_log import decode_upsert
from feed_platform.lake import Lake
from feed_platform.lake.traces import byte_pattern, distinctive_forms
from feed_platform.settings import Settings

DRAFT = ".draft"
REVISION = re.compile(r"-r(\d+)$")


@dataclass(frozen=True)
class Theirs:
    """What is these people's in a log: records that name them, belong to their requests, hold their ids."""

    user_ids: frozenset[str]
    request_ids: frozenset[str]

    @cached_property
    def _pattern(self) -> "re.Pattern[bytes] | None":
        return byte_pattern(distinctive_forms(self.user_ids))

    def stands_in(self, data: bytes) -> bool:
        """Whether bytes hold one of the ids that can be told apart."""
        return self._pattern is not None and self._pattern.search(data) is not None

    def owns(self, kind: str, payload: bytes) -> bool:
        """Whether a record is one of theirs."""
        if kind == UPSERTS:
            return not self.user_ids.isdisjoint(_people_of(payload)) or self.stands_in(payload)
        record = _decoded(kind, payload)
        named = record is not None and (
            record.user_id in self.user_ids or record.request_id in self.request_ids
        )
        return named or self.stands_in(payload)


@dataclass(frozen=True)
class Rewrite:
    """A segment with records of theirs: what it keeps, how many go, how far the rest is imported."""

    path: Path
    kept: tuple[bytes, ...]
    removed: int
    imported_bytes: int

    @property
    def successor(self) -> Path:
        """The rewritten segment's place."""
        revision = REVISION.search(self.path.stem)
        number = int(revision[1]) + 1 if revision else 1
        return self.path.with_name(f"{REVISION.sub('', self.path.stem)}-r{number}{CLOSED}")

    @property
    def draft(self) -> Path:
        """Where the successor is written."""
        return self.successor.with_suffix(DRAFT)


def people_in_logs(settings: Settings, user_ids: Collection[str]) -> set[str]:
    """Those of the ids that records name."""
    named = {record.user_id for kind in KINDS if kind != UPSERTS for record in _records(settings, kind)}
    segments = find_segments(settings.logs / UPSERTS).values()
    named |= {
        one for path in segments for payload in read_records(path).payloads for one in _people_of(payload)
    }
    return {user_id for user_id in user_ids if user_id in named}


def find_in_logs(settings: Settings, lake: Lake, user_ids: Collection[str]) -> list[Rewrite]:
    """The segments that an erasure would rewrite."""
    with lake.read() as con:
        theirs = Theirs(frozenset(user_ids), _request_ids(con, settings, user_ids))
        imported = dict(con.execute("select file, imported_bytes from serving.segments").fetchall())
    found = (
        _rewrite(kind, path, theirs, imported.get(name_of(settings, path), 0))
        for kind in KINDS
        for path in find_segments(settings.logs / kind).values()
    )
    return [rewrite for rewrite in found if rewrite.removed]


def erase_from_logs(settings: Settings, lake: Lake, user_ids: Collection[str]) -> int:
    """Rewrite the segments without these people's records; how many records went.

    The service must be stopped: it would go on writing to the file that is taken away.
    """
    for draft in settings.logs.glob(f"*/*{DRAFT}"):
        draft.unlink()
    rewrites = find_in_logs(settings, lake, user_ids)
    if rewrites:
        for rewrite in rewrites:
            _write(rewrite)
        _add_offsets(settings, lake, rewrites)
        for rewrite in rewrites:
            rewrite.draft.rename(rewrite.successor)
            rewrite.path.unlink()
        _forget_offsets(settings, lake, rewrites)
    return sum(rewrite.removed for rewrite in rewrites)


def _records(settings: Settings, kind: str) -> Iterator[RequestRecord | FeedbackRecord]:
    for path in find_segments(settings.logs / kind).values():
        records = (_decoded(kind, payload) for payload in read_records(path).payloads)
        yield from (record for record in records if record is not None)


def _people_of(payload: bytes) -> set[str]:
    """The user that an upsert is about, or the author of its post."""
    with suppress(msgspec.DecodeError):
        record = decode_upsert(payload)
        person = record.entity_id if record.owner == "users" else record.fields.get("author_id")
        return {person} if person else set()
    return set()


def _decoded(kind: str, payload: bytes) -> RequestRecord | FeedbackRecord | None:
    try:
        return decode_feedback(payload) if kind == "feedback" else decode_request(payload)
    except msgspec.DecodeError:
        return None


def _request_ids(
    con: duckdb.DuckDBPyConnection, settings: Settings, user_ids: Collection[str]
) -> frozenset[str]:
    """Their requests, imported or not."""
    query = "select request_id from serving.requests where list_contains($user_ids, user_id)"
    imported = con.execute(query, {"user_ids": list(user_ids)}).fetchall()
    logged = (record for record in _records(settings, "requests") if record.user_id in user_ids)
    found = {row[0] for row in imported} | {record.request_id for record in logged}
    return frozenset(request_id for request_id in found if request_id is not None)


def _rewrite(kind: str, path: Path, theirs: Theirs, imported_bytes: int) -> Rewrite:
    read = read_records(path)
    owned = [theirs.owns(kind, payload) for payload in read.payloads]
    kept, still_imported = [], 0
    for payload, begin, is_theirs in zip(read.payloads, read.begins, owned, strict=True):
        if not is_theirs:
            kept.append(payload)
            still_imported += HEADER.size + len(payload) if begin < imported_bytes else 0
    is_spoilt = bool(read.torn_bytes or read.damaged_bytes)
    names_them = is_spoilt and theirs.stands_in(_between(path, read))
    return Rewrite(path, tuple(kept), sum(owned) + names_them, still_imported)


def _between(path: Path, read: Records) -> bytes:
    """A segment's bytes that belong to no whole record."""
    data = path.read_bytes()
    ends = [
        begin + HEADER.size + len(payload) for begin, payload in zip(read.begins, read.payloads, strict=True)
    ]
    gaps = zip([0, *ends], [*read.begins, len(data)], strict=True)
    return b"\n".join(data[start:end] for start, end in gaps)


def _write(rewrite: Rewrite) -> None:
    with rewrite.draft.open("wb") as file:
        file.writelines(map(pack, rewrite.kept))
        file.flush()
        os.fsync(file.fileno())


def _add_offsets(settings: Settings, lake: Lake, rewrites: list[Rewrite]) -> None:
    with lake.write("log segments rewritten") as con:
        for rewrite in rewrites:
            file = name_of(settings, rewrite.successor)
            con.execute("delete from serving.segments where file = ?", [file])
            con.execute(
                "insert into serving.segments values (?, ?, 0, now()::timestamp)",
                [file, rewrite.imported_bytes],
            )


def _forget_offsets(settings: Settings, lake: Lake, rewrites: list[Rewrite]) -> None:
    files = [name_of(settings, rewrite.path) for rewrite in rewrites]
    with lake.write("rewritten log segments forgotten") as con:
        forget_offsets(con, files)
