"""One lock for every writer of a SQLite catalog, freed by the kernel when its holder dies."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

NOTICE_SECONDS = 2.0


@contextmanager
def writer_lock(path: Path) -> Iterator[None]:
    """Hold the lake's writer lock; says on stderr who holds it while it waits."""
    lock = acquire_writer_lock(path)
    try:
        yield
    finally:
        lock.release()


def acquire_writer_lock(path: Path) -> FileLock:
    """Take the lake's writer lock, for as long as the returned object or the process lives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(path), path.with_suffix(".pid")
    try:
        lock.acquire(timeout=NOTICE_SECONDS)
    except Timeout:
        held_by = holder.read_text() if holder.exists() else "unknown"
        sys.stderr.write(f"waiting for the lake's writer lock held by pid {held_by} ({path})\n")
        lock.acquire()
    holder.write_text(str(os.getpid()))
    return lock
