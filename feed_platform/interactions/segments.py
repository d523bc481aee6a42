"""Append-only log segments: whole records survive a crash, a torn tail is seen as one.

A record is its payload's length and CRC-32 (two little-endian uint32), then the payload.
A segment has one writer for life, which holds a lock on the file. Its name never comes again, so an
offset kept for it stays good: `<writer>-<time>-<random>.open` while it grows, `.log` once it is closed.
"""

import fcntl
import os
import re
import secrets
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

OPEN, CLOSED = ".open", ".log"
HEADER = struct.Struct("<II")
ROTATE_BYTES = 16 * 1024**2
ROTATE_SECONDS = 3_600.0
PAYLOAD_BYTES = 16 * 1024**2
_HEADER_MAY_BEGIN = re.compile(rb"(?!\0{4})(?=.{3}[\0\1])", re.DOTALL)  # a length of 1 to PAYLOAD_BYTES


class Read(NamedTuple):
    """What `read_from` found: whole payloads, where they end, and the bytes after that."""

    payloads: list[bytes]
    offset: int
    torn_bytes: int


class Records(NamedTuple):
    """What `read_records` found: whole payloads and where each record begins, where they end, the
    bytes after that, and the bytes passed over between whole records."""

    payloads: list[bytes]
    begins: list[int]
    offset: int
    torn_bytes: int
    damaged_bytes: int


class SegmentWriter:
    """Writes one segment after another into a folder; a large or old one is closed.

    `append` and `extend` may be called from any thread and never touch the disk; `sync` and `rotate` from
    one thread at a time. What `sync` has returned for is durable. Where it raises, what was appended
    since the last one may be lost, and the next goes to a new segment: what a failed write left
    behind is never written over, since the import may have read it.

    Example:
        >>> writer = SegmentWriter(Path("logs/feedback"), "replica-1")      # doctest: +SKIP
        >>> writer.append(b"{}")                                            # doctest: +SKIP
        >>> writer.sync()                                                   # doctest: +SKIP
    """

    def __init__(
        self,
        folder: Path,
        writer_id: str,
        rotate_bytes: int = ROTATE_BYTES,
        rotate_seconds: float = ROTATE_SECONDS,
    ) -> None:
        self._folder = folder
        self._writer_id = writer_id
        self._rotate_bytes, self._rotate_seconds = rotate_bytes, rotate_seconds
        self._lock = threading.Lock()
        self._pending = bytearray()
        self._segment: _Segment | None = None

    def append(self, payload: bytes) -> None:
        """Take a record; the next `sync` makes it durable.

        Raises:
            ValueError: the payload is empty or longer than `PAYLOAD_BYTES`.
        """
        self.extend(pack(payload))

    def extend(self, records: bytes) -> None:
        """As `append`, of records that `pack` made."""
        with self._lock:
            self._pending += records

    def sync(self) -> None:
        """Write and fsync what was appended; a segment that is large enough is closed.

        Raises:
            OSError: the disk refuses.
        """
        with self._lock:
            pending, self._pending = self._pending, bytearray()
        if not pending:
            return
        segment, self._segment = self._segment or _Segment(self._folder, self._writer_id), None
        segment.write(pending)
        self._segment = segment
        self.rotate()

    def rotate(self) -> None:
        """Close the segment if it is large or old enough.

        Raises:
            OSError: the disk refuses; what was synced is durable all the same.
        """
        segment = self._segment
        if segment and (segment.size >= self._rotate_bytes or segment.age >= self._rotate_seconds):
            self._segment = None
            segment.close()

    def close(self) -> None:
        """Sync, and close the segment."""
        self.sync()
        if self._segment:
            self._segment.close()
            self._segment = None


class _Segment:
    def __init__(self, folder: Path, writer_id: str) -> None:
        _make_folder(folder)
        name = f"{writer_id}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        self.path = folder / f"{name}{OPEN}"
        self.size = 0
        self._began = time.monotonic()
        self._file = self.path.open("xb", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            _sync_folder(folder)
        except OSError:
            self._abandon()
            raise

    @property
    def age(self) -> float:
        """Seconds since its first record."""
        return time.monotonic() - self._began

    def write(self, data: bytearray) -> None:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError:
            self._abandon()
            raise
        self.size += len(data)

    def close(self) -> None:
        self._file.close()
        os.rename(self.path, self.path.with_suffix(CLOSED))
        _sync_folder(self.path.parent)

    def _abandon(self) -> None:
        """Give the file up; away with it where nothing in it was ever durable: a full disk needs the room."""
        if not self.size:
            with suppress(OSError):
                self.path.unlink()
        self._file.close()


def pack(payload: bytes) -> bytes:
    """A record as it stands in a segment.

    Raises:
        ValueError: the payload is empty or longer than `PAYLOAD_BYTES`.
    """
    if not 0 < len(payload) <= PAYLOAD_BYTES:
        raise ValueError(f"a log record has {len(payload)} bytes, 1 to {PAYLOAD_BYTES} are allowed")
    return HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def read_from(path: Path, offset: int = 0) -> Read:
    """Read the whole records of a segment from an offset on.

    Reading stops at the first record that is incomplete or fails its checksum: a writer may
    be in the middle of it, or died there. Read from the returned offset again to find out.

    Raises:
        FileNotFoundError: no such segment, open or closed.
    """
    with _open(path) as file:
        file.seek(offset)
        data = file.read()
    payloads = list(_payloads(data))
    used = sum(HEADER.size + len(payload) for payload in payloads)
    return Read(payloads, offset + used, len(data) - used)


def read_records(path: Path, offset: int = 0) -> Records:
    """Read the whole records of a segment from an offset on, passing over damage.

    Where a bad disk or a crash has spoilt bytes, whole records after them are found by their length and
    checksum. Only where no writer is left: what looks spoilt may still be on its way to the file.

    Raises:
        FileNotFoundError: no such segment, open or closed.
    """
    is_settled = not has_writer(path)
    with _open(path) as file:
        file.seek(offset)
        data = file.read()
    payloads: list[bytes] = []
    begins: list[int] = []
    start: int | None = 0
    end = damaged = 0
    while start is not None:
        damaged += start - end
        end = start
        for payload in _payloads(data, start):
            payloads.append(payload)
            begins.append(offset + end)
            end += HEADER.size + len(payload)
        start = _next_record(data, end + 1) if is_settled else None
    return Records(payloads, begins, offset + end, len(data) - end, damaged)


def has_writer(path: Path) -> bool:
    """Whether a living process may still write to a segment."""
    if path.suffix == CLOSED:
        return False
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:  # closed since it was found
        return False
    return False


def find_segments(folder: Path) -> dict[str, Path]:
    """A folder's segments by name (open or closed, the same), in the order of the names."""
    found = [path for suffix in (OPEN, CLOSED) for path in folder.glob(f"*{suffix}")]
    return {path.stem: path for path in sorted(found)}


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:  # closed since it was found
        return path.with_suffix(CLOSED).open("rb")


def _next_record(data: bytes, start: int) -> int | None:
    """Where the first whole record at or after a place begins."""
    places = (found.start() for found in _HEADER_MAY_BEGIN.finditer(data, start))
    return next((place for place in places if next(_payloads(data, place), None)), None)


def _payloads(data: bytes, start: int = 0) -> Iterator[bytes]:
    """The whole records' payloads from a place on, up to the first that isn't whole."""
    while start + HEADER.size <= len(data):
        length, checksum = HEADER.unpack_from(data, start)
        start += HEADER.size
        payload = data[start : start + length]
        # No record is empty: zeros are what a file system may leave where a write was lost.
        if not payload or len(payload) < length or zlib.crc32(payload) != checksum:
            return
        yield payload
        start += length


def _make_folder(folder: Path) -> None:
    """Make a folder that is missing, durably."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make a name that was created or changed in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
