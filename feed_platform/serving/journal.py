"""A log that one thread writes: appends and fsyncs in groups, never on the request's path."""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from feed_platform.interactions.segments import SegmentWriter

GROUP = 1_000
CLOSE_SECONDS = 5.0

Encode = Callable[[], bytes]
log = logging.getLogger(__name__)


class Journal:
    """Records on their way to a folder's log segment.

    Args:
        folder: where the segments lie; the import reads them from there.
        writer_id: unique to this process.
        capacity: entries that may wait; more are refused.
        on_lost: told how many records without an acknowledgement were lost to a failing disk.
    """

    def __init__(
        self, folder: Path, writer_id: str, capacity: int, on_lost: Callable[[int], None] = lambda count: None
    ) -> None:
        self._writer, self._on_lost = SegmentWriter(folder, writer_id), on_lost
        self._entries: queue.Queue[tuple[list[Encode], Future[None]] | None] = queue.Queue(capacity)
        self._thread = threading.Thread(target=self._run, name=f"journal-{folder.name}", daemon=True)
        self._thread.start()

    def offer(self, encode: Encode) -> bool:
        """Log a record, best effort: it is encoded later, by the writer; whether there was room."""
        with suppress(queue.Full):
            self._put([encode]).add_done_callback(lambda done: self._on_lost(1) if done.exception() else None)
            return True
        return False

    def commit(self, payloads: Sequence[bytes]) -> "Future[None]":
        """Log records durably: the future is done when they are on the disk, or failed with OSError.

        Raises:
            queue.Full: too much waits already.
        """
        return self._put([lambda payload=payload: payload for payload in payloads])  # type: ignore[misc]

    @property
    def waiting(self) -> int:
        """Entries that aren't written yet."""
        return self._entries.qsize()

    def close(self) -> None:
        """Write what waits and end the thread."""
        with suppress(queue.Full):
            self._entries.put(None, timeout=CLOSE_SECONDS)
            self._thread.join(CLOSE_SECONDS)

    def _put(self, encoders: list[Encode]) -> "Future[None]":
        done: Future[None] = Future()
        self._entries.put_nowait((encoders, done))
        return done

    def _run(self) -> None:
        is_open = True
        while is_open:
            group = self._take()
            is_open = group[-1] is not None
            self._write([entry for entry in group if entry is not None])
        self._writer.close()

    def _take(self) -> list[tuple[list[Encode], "Future[None]"] | None]:
        """Wait for an entry, then take those that came meanwhile; `None` at the end closes."""
        group = [self._entries.get()]
        with suppress(queue.Empty):
            while group[-1] is not None and len(group) < GROUP:
                group.append(self._entries.get_nowait())
        return group

    def _write(self, entries: list[tuple[list[Encode], "Future[None]"]]) -> None:
        failure: Exception | None = None
        try:
            for encoders, _ in entries:
                for encode in encoders:
                    self._writer.append(encode())
            self._writer.sync()
        except Exception as error:  # a full disk, a folder gone: the callers are told, the thread lives on
            log.warning("cannot write to the log: %s", error)
            failure = error
        for _, done in entries:
            done.set_exception(failure) if failure else done.set_result(None)
