"""A log that one thread writes: appends and fsyncs in groups, never on the request's path."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from feed_platform.interactions.segments import SegmentWriter

GROUP = 1_000
GROUP_BYTES = 4 * 1024**2
IDLE_SECONDS = 60.0
CLOSE_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Entry:
    """Records that are written together."""

    payloads: Sequence[bytes]
    done: "Future[None]" = field(default_factory=Future)

    @property
    def size(self) -> int:
        """The memory that they take while they wait, in bytes."""
        return sum(map(len, self.payloads))


class Journal:
    """Records on their way to a folder's log segment.

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
        """Log a record, best effort; whether there was room."""
        with suppress(queue.Full):
            done = self._put(_Entry([payload]))
            done.add_done_callback(lambda done: self._on_lost(1) if done.exception() else None)
            return True
        return False

    def commit(self, payloads: Sequence[bytes]) -> "Future[None]":
        """Log records durably: the future is done when they are on the disk, or failed with OSError.

        Cancelled before they are written, they are not.

        Raises:
            queue.Full: too much waits already.
        """
        return self._put(_Entry(payloads))

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

    def _put(self, entry: _Entry) -> "Future[None]":
        with self._lock:
            if self._waiting and self._waiting_bytes + entry.size > self._capacity:
                raise queue.Full
            self._waiting += 1
            self._waiting_bytes += entry.size
        self._entries.put(entry)
        return entry.done

    def _run(self) -> None:
        is_open = True
        while is_open:
            group, is_open = self._take()
            # From here on a client that goes away can't cancel what is being written.
            self._write([entry for entry in group if entry.done.set_running_or_notify_cancel()])
            with self._lock:
                self._waiting -= len(group)
                self._waiting_bytes -= sum(entry.size for entry in group)
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
                size += entry.size
        return group, True

    def _write(self, entries: list[_Entry]) -> None:
        failures = {id(entry): failure for entry in entries if (failure := self._append(entry))}
        try:
            self._writer.sync()
            self._writer.rotate()
        except Exception as error:  # a full disk, a folder gone: the callers are told, the thread lives on
            log.warning("cannot write to the log: %s", error)
            failures = {id(entry): error for entry in entries}
        for entry in entries:
            failure = failures.get(id(entry))
            entry.done.set_exception(failure) if failure else entry.done.set_result(None)

    def _append(self, entry: _Entry) -> Exception | None:
        """Hand an entry's records to the writer, all or none; what kept it from that."""
        try:
            for payload in entry.payloads:
                self._writer.append(payload)
        except Exception as error:  # one record that can't be written is no reason to lose others
            log.warning("a record can't be logged: %s", error)
            return error
        return None
