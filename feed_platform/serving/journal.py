"""A log that one thread writes: appends and fsyncs in groups, never on the request's path."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from feed_platform.interactions.segments import SegmentWriter, pack

GROUP = 1_000
GROUP_BYTES = 4 * 1024**2
IDLE_SECONDS = 60.0
CLOSE_SECONDS = 5.0

log = logging.getLogger(__name__)


class _Entry(NamedTuple):
    """Records that are written together; `done` where somebody waits for that."""

    records: bytes
    done: "Future[None] | None"


class Journal:
    """Records on their way to a folder's log segment.

    Callers pack them: a checksum lets go of Python's lock, and each time the journal's thread would wait
    to get it back from the thread that answers requests, and hold that one up.

    Args:
        folder: where the segments lie; the import reads them from there.
        writer_id: unique to this process.
        capacity: memory that entries which wait may take, in bytes; what goes beyond is refused.
        on_lost: told how many records without an acknowledgement were lost to a failing disk.
        patience: seconds that a record waits for others to share its fsync.
    """

    def __init__(
        self,
        folder: Path,
        writer_id: str,
        capacity: int,
        on_lost: Callable[[int], None] = lambda count: None,
        patience: float = 0.0,
    ) -> None:
        self._patience = patience
        self._writer, self._on_lost, self._capacity = SegmentWriter(folder, writer_id), on_lost, capacity
        self._entries: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = self._waiting_bytes = 0
        self._thread = threading.Thread(target=self._run, name=f"journal-{folder.name}", daemon=True)
        self._thread.start()

    def offer(self, payload: bytes) -> bool:
        """Log a record, best effort; whether there was room.

        Raises:
            ValueError: the record is empty or too long.
        """
        with suppress(queue.Full):
            self._put(_Entry(pack(payload), None))
            return True
        return False

    def commit(self, payloads: Sequence[bytes]) -> "Future[None]":
        """Log records durably: the future is done when they are on the disk, or failed with OSError.

        Cancelled before they are written, they are not.

        Raises:
            queue.Full: too much waits already.
            ValueError: a record is empty or too long; none is logged.
        """
        done: Future[None] = Future()
        self._put(_Entry(b"".join(map(pack, payloads)), done))
        return done

    @property
    def waiting(self) -> int:
        """Entries that aren't written yet."""
        return self._waiting

    @property
    def waiting_bytes(self) -> int:
        """Memory that they take."""
        return self._waiting_bytes

    def close(self) -> None:
        """Write what waits and end the thread."""
        self._entries.put(None)
        self._thread.join(CLOSE_SECONDS)

    def _put(self, entry: _Entry) -> None:
        size = len(entry.records)
        with self._lock:
            if self._waiting and self._waiting_bytes + size > self._capacity:
                raise queue.Full
            self._waiting += 1
            self._waiting_bytes += size
        self._entries.put(entry)

    def _run(self) -> None:
        is_open = True
        while is_open:
            group, is_open = self._take()
            self._write([entry for entry in group if _is_wanted(entry)])
            with self._lock:
                self._waiting -= len(group)
                self._waiting_bytes -= sum(len(entry.records) for entry in group)
        with suppress(OSError):
            self._writer.close()

    def _take(self) -> tuple[list[_Entry], bool]:
        """Wait for an entry and its company, then take those that came meanwhile; whether more may come."""
        group: list[_Entry] = []
        size = 0
        with suppress(queue.Empty):
            while len(group) < GROUP and size < GROUP_BYTES:
                entry = self._entries.get(block=not group, timeout=IDLE_SECONDS)
                if entry is None:
                    return group, False
                if not group:
                    time.sleep(self._patience)
                group.append(entry)
                size += len(entry.records)
        return group, True

    def _write(self, entries: list[_Entry]) -> None:
        failure: Exception | None = None
        try:
            self._writer.extend(b"".join(entry.records for entry in entries))
            self._writer.sync()
            self._writer.rotate()
        except Exception as error:  # a full disk, a folder gone: the callers are told, the thread lives on
            log.warning("cannot write to the log: %s", error)
            failure = error
            self._on_lost(sum(entry.done is None for entry in entries))
        for entry in entries:
            if entry.done:
                entry.done.set_exception(failure) if failure else entry.done.set_result(None)


def _is_wanted(entry: _Entry) -> bool:
    """Whether to write it: from here on a client that goes away can't cancel it."""
    return entry.done is None or entry.done.set_running_or_notify_cancel()
