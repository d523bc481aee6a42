"""Seconds and memory of this process."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Wall and CPU seconds of the block, there when it has ended."""
    figures: dict[str, float] = {}
    wall, cpu = time.perf_counter(), time.process_time()
    yield figures
    figures |= {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def peak_mib() -> float:
    """Peak resident memory (MiB); getrusage would carry the parent's over an exec."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
