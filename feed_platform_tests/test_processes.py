"""Only processes that were started here are ever ended."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from feed_platform import processes
from feed_platform.processes import Process

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-S",
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)",
]


@pytest.fixture
def child() -> Iterator[subprocess.Popen]:
    with subprocess.Popen(SLEEP) as started:
        yield started
        started.kill()


def test_a_process_of_another_start_time_is_left_alone(child: subprocess.Popen) -> None:
    found = Process.find(child.pid)
    assert found is not None and found.is_alive
    reused = Process(found.pid, found.started - 1)
    assert not reused.is_alive
    processes.end([reused], 1)
    assert found.is_alive


def test_who_does_not_heed_the_first_signal_is_killed() -> None:
    with subprocess.Popen(STUBBORN, stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        found = Process.find(stubborn.pid)
        assert found is not None
        processes.end([found], 0.3)
        assert not found.is_alive


def test_a_session_is_found_by_its_number_and_its_folder(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEP, cwd=tmp_path, start_new_session=True) as leader:
        assert [one.pid for one in processes.of_session(leader.pid, tmp_path)] == [leader.pid]
        assert not processes.of_session(leader.pid, tmp_path / "elsewhere")
        assert not processes.of_session(leader.pid + 1, tmp_path)
        leader.kill()
