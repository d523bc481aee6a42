"""Append-only log segments: whole records survive a crash, a torn tail is seen as one.

A record is its payload's length and CRC-32 (two little-endian uint32), then the payload.
A segment has one writer for life. Its name never comes again, so an offset kept for it stays
good: `<writer>-<time>-<random>.open` while it grows, `.log` once it is closed.
"""

import os
import secrets
import struct
import threading
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

OPEN, CLOSED = ".open", ".log"
HEADER = struct.Struct("<II")
ROTATE_BYTES = 16 * 1024**2
PAYLOAD_BYTES = 16 * 1024**2


class Read(NamedTuple):
    """What `read_from` found: whole payloads, where they end, and the bytes after that."""

    payloads: list[bytes]
    offset: int
    torn_bytes: int


class SegmentWriter:
    """Writes one segment after another into a folder.

    `append` may be called from any thread and never touches the disk; `sync` from one thread
    at a time. What `sync` has returned for is durable. Where it raises, what was appended since
    the last one may be lost, and the next goes to a new segment.

    Example:
        >>> writer = SegmentWriter(Path("logs/feedback"), "replica-1")      # doctest: +SKIP
        >>> writer.append(b"{}")                                            # doctest: +SKIP
        >>> writer.sync()                                                   # doctest: +SKIP
    """

    def __init__(self, folder: Path, writer_id: str, rotate_bytes: int = ROTATE_BYTES) -> None:
        self._folder = folder
        self._writer_id = writer_id
        self._rotate_bytes = rotate_bytes
        self._lock = threading.Lock()
        self._pending = bytearray()
        self._segment: _Segment | None = None

    def append(self, payload: bytes) -> None:
        """Take a record; the next `sync` makes it durable.

        Raises:
            ValueError: the payload is empty or longer than `PAYLOAD_BYTES`.
        """
        if not 0 < len(payload) <= PAYLOAD_BYTES:
            raise ValueError(f"a log record has {len(payload)} bytes, 1 to {PAYLOAD_BYTES} are allowed")
        with self._lock:
            self._pending += pack(payload)

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
        if segment.size < self._rotate_bytes:
            self._segment = segment
        else:
            segment.close()

    def close(self) -> None:
        """Sync, and close the segment."""
        self.sync()
        if self._segment:
            self._segment.close()
            self._segment = None


class _Segment:
    def __init__(self, folder: Path, writer_id: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{writer_id}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        self.path = folder / f"{name}{OPEN}"
        self.size = 0
        self._file = self.path.open("xb", buffering=0)
        _sync_folder(folder)

    def write(self, data: bytearray) -> None:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError:
            self._file.close()
            raise
        self.size += len(data)

    def close(self) -> None:
        self._file.close()
        os.rename(self.path, self.path.with_suffix(CLOSED))
        _sync_folder(self.path.parent)


def pack(payload: bytes) -> bytes:
    """A record as it stands in a segment."""
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


def find_segments(folder: Path) -> dict[str, Path]:
    """A folder's segments by name (open or closed, the same), in the order of the names."""
    found = [path for suffix in (OPEN, CLOSED) for path in folder.glob(f"*{suffix}")]
    return {path.stem: path for path in sorted(found)}


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:  # closed since it was found
        return path.with_suffix(CLOSED).open("rb")


def _payloads(data: bytes) -> Iterator[bytes]:
    start = 0
    while start + HEADER.size <= len(data):
        length, checksum = HEADER.unpack_from(data, start)
        start += HEADER.size
        payload = data[start : start + length]
        # No record is empty: zeros are what a file system may leave where a write was lost.
        if not payload or len(payload) < length or zlib.crc32(payload) != checksum:
            return
        yield payload
        start += length


def _sync_folder(folder: Path) -> None:
    """Make a name that was created or changed in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
