"""Long-lived processes of a home: remembered by id and start time, so that only ours are ever ended."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from feed_platform.feed import write_atomically


@dataclass(frozen=True)
class Remembered:
    """A process that this home started. A reused process id has another start time."""

    pid: int
    started: float

    def process(self) -> psutil.Process | None:
        """The live process, unless it has ended."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.started) < 1
            return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def launch(command: Sequence[str], remember: Path, log: Path, environment: Mapping[str, str]) -> Remembered:
    """Start a process in a session of its own and remember it in a file."""
    with log.open("ab") as out:
        child = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env=dict(environment),
            start_new_session=True,
        )
    remembered = Remembered(child.pid, psutil.Process(child.pid).create_time())
    write_atomically(remember, json.dumps(asdict(remembered)))
    return remembered


def recall(remember: Path) -> psutil.Process | None:
    """The remembered process, if it still runs."""
    if not remember.exists():
        return None
    return Remembered(**json.loads(remember.read_text())).process()


def end(remember: Path, patience_seconds: float = 30) -> bool:
    """Ask the remembered process to end, wait, then end what is left of its session. True if one ran."""
    process = recall(remember)
    if process is not None:
        family = _session(process.pid)
        process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs([process, *family], timeout=patience_seconds)
        for one in left:
            one.kill()
        psutil.wait_procs(left, timeout=patience_seconds)
    remember.unlink(missing_ok=True)
    return process is not None


def _session(pid: int) -> list[psutil.Process]:
    """The other processes of a session that we created: its id is its leader's process id."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != pid and os.getsid(process.pid) == pid:
                found.append(process)
        except (psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            continue
    return found
