"""Processes told apart by pid and start time, so that a reused pid is never taken for ours (Linux)."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
POLL_SECONDS = 0.1
_STATE, _PARENT, _SESSION, _STARTED = 0, 1, 3, 19  # fields of /proc/<pid>/stat after the command, see proc(5)


@dataclass(frozen=True)
class Process:
    """One process: its pid and its start in clock ticks since boot."""

    pid: int
    started: int

    @classmethod
    def find(cls, pid: int) -> "Process | None":
        """The process that has this pid now; `None` if there is none or only its zombie."""
        fields = _stat(pid)
        return None if fields is None or fields[_STATE] == "Z" else cls(pid, int(fields[_STARTED]))

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return Process.find(self.pid) == self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process is gone."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def wait_all(processes: list[Process], seconds: float) -> bool:
    """Wait until none of the processes runs; whether that came true in time."""
    deadline = time.monotonic() + seconds
    while any(process.is_alive for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    for process in processes:
        _reap(process)
    return True


def end(processes: list[Process], patience: float) -> None:
    """End processes: SIGTERM, and SIGKILL for those that don't heed it within `patience` seconds."""
    for process in processes:
        process.signal(signal.SIGTERM)
    if not wait_all(processes, patience):
        for process in processes:
            process.signal(signal.SIGKILL)
        wait_all(processes, patience)


def of_session(session: int, folder: Path) -> list[Process]:
    """This user's processes of a session that work in a private folder.

    Both, since the kernel may give a dead leader's number to another session.
    """
    return [process for process in _mine() if _session(process) == session and _works_in(process, folder)]


def of_environment(name: str, value: str, programs: frozenset[str]) -> list[Process]:
    """This user's processes of some programs, started with a variable; not this one or its parents."""
    wanted = f"{name}={value}".encode()
    family = set(_ancestors(os.getpid()))
    return [
        process
        for process in _mine()
        if process.pid not in family
        and wanted in _words(process, "environ")
        and any(Path(os.fsdecode(word)).name in programs for word in _words(process, "cmdline"))
    ]


def _words(process: Process, file: str) -> list[bytes]:
    try:
        return (PROC / str(process.pid) / file).read_bytes().split(b"\0")
    except OSError:
        return []


def _ancestors(pid: int) -> Iterator[int]:
    while pid:
        yield pid
        fields = _stat(pid)
        pid = int(fields[_PARENT]) if fields else 0


def _mine() -> Iterator[Process]:
    for entry in PROC.iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == os.getuid():
                process = Process.find(int(entry.name))
                if process is not None:
                    yield process


def _session(process: Process) -> int | None:
    fields = _stat(process.pid)
    return int(fields[_SESSION]) if fields else None


def _works_in(process: Process, folder: Path) -> bool:
    try:
        return Path(os.readlink(PROC / str(process.pid) / "cwd")).is_relative_to(folder)
    except OSError:
        return False


def _stat(pid: int) -> list[str] | None:
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _reap(process: Process) -> None:
    """Collect an ended child of this very process: a zombie would stay as long as it runs."""
    with suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
