"""The journal's thread: what it acknowledges, what it refuses, and that nothing ends it."""

import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from feed_platform.interactions.segments import HEADER, SegmentWriter, read_from
from feed_platform.serving.journal import Journal


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Until it is set, no fsync ends."""
    go_on, sync = threading.Event(), SegmentWriter.sync

    def wait_and_sync(self: SegmentWriter) -> None:
        go_on.wait(10)
        sync(self)

    monkeypatch.setattr(SegmentWriter, "sync", wait_and_sync)
    yield go_on
    go_on.set()


def logged(folder: Path) -> list[bytes]:
    return [payload for path in sorted(folder.iterdir()) for payload in read_from(path).payloads]


def test_a_client_that_goes_away_ends_nothing(tmp_path: Path, stuck: threading.Event) -> None:
    journal = Journal(tmp_path, "w", 1_000)
    first = journal.commit([b"first"])
    while not first.running():
        pass
    given_up, waiting = journal.commit([b"given up"]), journal.commit([b"waiting"])
    assert not first.cancel() and given_up.cancel()
    stuck.set()
    assert first.result(10) is None and waiting.result(10) is None
    assert journal.commit([b"later"]).result(10) is None
    journal.close()
    assert logged(tmp_path) == [b"first", b"waiting", b"later"]


def test_a_flood_is_bounded_by_its_bytes(tmp_path: Path, stuck: threading.Event) -> None:
    journal = Journal(tmp_path, "w", 1_000)
    taken = [journal.offer(bytes(300)) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    assert (journal.waiting, journal.waiting_bytes) == (3, 3 * (HEADER.size + 300))
    with pytest.raises(queue.Full):
        journal.commit([bytes(200)])
    stuck.set()
    while journal.waiting:
        pass
    assert journal.waiting_bytes == 0 and journal.offer(bytes(300))
    journal.close()
    assert len(logged(tmp_path)) == 4


def test_a_record_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w", 1_000)
    with pytest.raises(ValueError, match="a log record has 0 bytes"):
        journal.offer(b"")
    with pytest.raises(ValueError, match="a log record has 0 bytes"):
        journal.commit([b"beside it", b""])
    assert journal.commit([b"kept"]).result(10) is None
    journal.close()
    assert logged(tmp_path) == [b"kept"]


def test_what_a_failing_disk_loses_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[int] = []
    journal = Journal(tmp_path, "w", 1_000, lost.append, patience=0.2)
    with monkeypatch.context() as broken:
        broken.setattr("feed_platform.interactions.segments.os.fsync", _full_disk)
        assert journal.offer(b"one") and journal.offer(b"two")
        with pytest.raises(OSError, match="No space left"):
            journal.commit([b"told"]).result(10)
    assert journal.commit([b"kept"]).result(10) is None
    journal.close()
    assert sum(lost) == 2 and logged(tmp_path) == [b"kept"]


def _full_disk(handle: int) -> None:
    raise OSError(28, "No space left on device")
