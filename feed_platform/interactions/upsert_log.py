"""The log of upserts: one order for the changes that all replicas of a home take in.

Segments as `segments` describes them, with one difference: every replica appends to the newest one, under a
file lock. A tail that a killed writer left torn is cut off by the next.
"""

import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock

from feed_platform.interactions.segments import CLOSED, OPEN, ROTATE_BYTES, find_segments, pack, read_from

TICK = timedelta(microseconds=1)
LOCK_SECONDS = 4.0
log = logging.getLogger(__name__)


class UpsertRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a post or user: the fields that it names, null where it takes one away.

    `number` counts the changes of a home from 1, and `received_at` (UTC, naive) grows with it. `owner` is
    `posts` or `users`.
    """

    number: int
    owner: str
    entity_id: str
    received_at: datetime
    fields: dict[str, Any]


_DECODER = msgspec.json.Decoder(UpsertRecord)
_ENCODER = msgspec.json.Encoder()


def decode_upsert(payload: bytes) -> UpsertRecord:
    """Read an upsert record.

    Raises:
        msgspec.DecodeError: not one.
    """
    return _DECODER.decode(payload)


@dataclass
class UpsertTail:
    """Reads a folder's records as they come, each once."""

    folder: Path
    offsets: dict[str, int] = field(default_factory=dict)

    def read(self) -> list[UpsertRecord]:
        """The whole records since the last call, in the order of their numbers."""
        records = []
        for name, path in find_segments(self.folder).items():
            with suppress(FileNotFoundError):  # an old one that upkeep has removed
                found = read_from(path, self.offsets.get(name, 0))
                self.offsets[name] = found.offset
                records += [record for payload in found.payloads if (record := _understood(payload))]
        return sorted(records, key=lambda record: record.number)


class UpsertLog:
    """Appends numbered records to a folder's log, from any number of processes.

    Example:
        >>> UpsertLog(Path("logs/upserts")).append("posts", {"p1": {"topic": "art"}})   # doctest: +SKIP
        17
    """

    def __init__(self, folder: Path, rotate_bytes: int = ROTATE_BYTES) -> None:
        self._folder, self._rotate_bytes = folder, rotate_bytes
        self._tail = UpsertTail(folder)
        self._number, self._received_at = 0, datetime.min

    def append(self, owner: str, changes: Sequence[tuple[str, Mapping[str, Any]]]) -> int:
        """Make changes durable, in their order; the last one's number.

        Raises:
            OSError: the disk refuses, or others hold the log for seconds (a `filelock.Timeout`).
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / "lock", timeout=LOCK_SECONDS):
            self._catch_up()
            _write(self._segment(), self._packed(owner, changes))
        return self._number

    def _catch_up(self) -> None:
        """Go on from the last record that anyone wrote; a segment is named after its first number."""
        for record in self._tail.read():
            self._number, self._received_at = record.number, record.received_at
        newest = max(self._tail.offsets, default="1-")
        self._number = max(self._number, int(newest.partition("-")[0]) - 1)

    def _packed(self, owner: str, changes: Sequence[tuple[str, Mapping[str, Any]]]) -> bytes:
        now = datetime.now(UTC).replace(tzinfo=None)
        data = bytearray()
        for entity_id, fields in changes:
            self._number, self._received_at = self._number + 1, max(now, self._received_at + TICK)
            record = UpsertRecord(
                number=self._number,
                owner=owner,
                entity_id=entity_id,
                received_at=self._received_at,
                fields=dict(fields),
            )
            data += pack(_ENCODER.encode(record))
        return bytes(data)

    def _segment(self) -> Path:
        """The file to append to, its torn tail cut off; a new one where the newest is full or closed."""
        for name, path in reversed(find_segments(self._folder).items()):
            if path.suffix == CLOSED:
                break
            if path.stat().st_size > self._tail.offsets[name]:
                os.truncate(path, self._tail.offsets[name])
            if self._tail.offsets[name] < self._rotate_bytes:
                return path
            path.rename(path.with_suffix(CLOSED))
            break
        return self._folder / f"{self._number + 1:020}-{secrets.token_hex(4)}{OPEN}"


def _understood(payload: bytes) -> UpsertRecord | None:
    try:
        return decode_upsert(payload)
    except msgspec.DecodeError as error:
        log.warning("an upsert that is not understood: %s", error)
        return None


def _write(path: Path, data: bytes) -> None:
    is_new = not path.exists()
    with path.open("ab", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    if is_new:
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
