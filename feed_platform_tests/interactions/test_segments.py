"""Log segments: what was synced is read back, whatever happened to the file's end."""

import resource
import signal
import threading
import time
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from feed_platform.interactions.records import (
    CandidateColumns,
    CandidateRecord,
    FeedbackRecord,
    RequestRecord,
    decode_feedback,
    decode_request,
    encode,
)
from feed_platform.interactions.segments import (
    CLOSED,
    HEADER,
    OPEN,
    PAYLOAD_BYTES,
    SegmentWriter,
    find_segments,
    has_writer,
    read_from,
    read_records,
)

PAYLOADS = [b"\x00", b"one", b"a longer record \x00\xff", b"{}"]


def _segment(folder: Path, payloads: list[bytes]) -> Path:
    writer = SegmentWriter(folder, "writer")
    for payload in payloads:
        writer.append(payload)
    writer.close()
    (path,) = folder.iterdir()
    return path


def test_every_truncation_gives_the_whole_records_before_it(tmp_path: Path) -> None:
    path = _segment(tmp_path / "full", PAYLOADS)
    data, cut = path.read_bytes(), tmp_path / "cut"
    ends = [0]
    for payload in PAYLOADS:
        ends.append(ends[-1] + HEADER.size + len(payload))
    for size in range(len(data) + 1):
        cut.write_bytes(data[:size])
        whole = sum(end <= size for end in ends) - 1
        assert read_from(cut) == (PAYLOADS[:whole], ends[whole], size - ends[whole])


def test_a_torn_tail_is_read_once_it_is_complete(tmp_path: Path) -> None:
    path = _segment(tmp_path / "full", PAYLOADS)
    data, growing = path.read_bytes(), tmp_path / "growing"
    found, offset = [], 0
    for size in range(0, len(data) + 1, 3):
        growing.write_bytes(data[:size])
        payloads, offset, _ = read_from(growing, offset)
        found += payloads
    growing.write_bytes(data)
    assert found + read_from(growing, offset).payloads == PAYLOADS


def test_a_flipped_bit_ends_the_reading(tmp_path: Path) -> None:
    path = _segment(tmp_path, [b"first", b"second"])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert read_from(path) == ([b"first"], HEADER.size + 5, HEADER.size + 6)


def test_zeros_after_a_crash_are_torn_bytes(tmp_path: Path) -> None:
    path = _segment(tmp_path, [b"first"])
    path.write_bytes(path.read_bytes() + bytes(64))
    assert read_from(path) == ([b"first"], HEADER.size + 5, 64)


def test_a_segment_closed_since_it_was_found_is_read(tmp_path: Path) -> None:
    path = _segment(tmp_path, [b"first"])
    assert list(find_segments(tmp_path)) == [path.stem]
    assert read_from(path.with_suffix(OPEN)).payloads == [b"first"]


@pytest.mark.parametrize("payload", [b"", bytes(PAYLOAD_BYTES + 1)], ids=["empty", "too long"])
def test_a_payload_of_a_wrong_size_is_refused(tmp_path: Path, payload: bytes) -> None:
    with pytest.raises(ValueError, match="are allowed"):
        SegmentWriter(tmp_path, "writer").append(payload)


def test_rotation_closes_segments_and_loses_nothing(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, "writer", rotate_bytes=40)
    for number in range(10):
        writer.append(f"record {number}".encode())
        writer.sync()
    assert {path.suffix for path in tmp_path.iterdir()} == {OPEN, CLOSED}
    writer.close()
    segments = sorted(tmp_path.iterdir())
    assert {path.suffix for path in segments} == {CLOSED}
    found = [payload for path in segments for payload in read_from(path).payloads]
    assert found == [f"record {number}".encode() for number in range(10)]


def test_a_failed_sync_raises_and_the_next_records_go_to_a_new_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SegmentWriter(tmp_path, "writer")
    writer.append(b"kept")
    writer.sync()
    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", _refuse)
        writer.append(b"refused")
        with pytest.raises(OSError, match="no space"):
            writer.sync()
    writer.append(b"later")
    writer.close()
    (later,) = tmp_path.glob(f"*{CLOSED}")
    assert read_from(later).payloads == [b"later"]


def test_appending_threads_beside_a_syncing_one(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, "writer", rotate_bytes=2_000)
    threads = [threading.Thread(target=_append_many, args=(writer, name)) for name in "abcd"]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        writer.sync()
    writer.close()
    found = [payload for path in tmp_path.iterdir() for payload in read_from(path).payloads]
    assert sorted(found) == sorted(f"{name}{number}".encode() for name in "abcd" for number in range(500))


def test_records_come_back_equal() -> None:
    at = datetime(2026, 3, 1, 12, 30, 0, 123456)
    request = RequestRecord(
        request_id="r1",
        user_id=None,
        surface="home",
        context={"device": "phone"},
        requested_at=at,
        received_at=at,
        policy="greedy",
        limit=1,
        candidates=CandidateColumns(["p1"], [0.25], [1.0]),
        served_by="champion",
        vectors=np.array([[0.5, np.nan]], dtype="<f4").tobytes(),
        vector_names=["a", "b"],
    )
    event = FeedbackRecord(event_id="e1", event_type="click", post_id="p1", occurred_at=at, received_at=at)
    assert decode_request(encode(request)) == request
    lists = {"candidates": [CandidateRecord("p1", 1, 0.25, 1.0)], "vectors": [[0.5, None]]}
    older = decode_request(encode(msgspec.structs.replace(request, **lists)))
    assert older.ranked == request.candidates
    np.testing.assert_array_equal(older.matrix, request.matrix)
    assert decode_feedback(encode(event)) == event


FITTING = "AAAAPwAAAD8="


@pytest.mark.parametrize(
    ("vectors", "names"),
    [
        ("AAAAPw==", ["a", "b"]),
        ("AAAA", ["a", "b"]),
        ([[0.5]], ["a", "b"]),
        ([[0.5, 1.0]] * 2, ["a", "b"]),
        (FITTING, None),
        ([[0.5, 0.5]], None),
    ],
)
def test_vectors_that_do_not_fit_their_candidates_make_a_record_unreadable(
    vectors: object, names: list[str] | None
) -> None:
    record = {"request_id": "r1", "user_id": None, "surface": "home", "context": {}, "policy": "greedy"}
    record |= {"requested_at": "2026-01-05T12:00:00", "received_at": "2026-01-05T12:00:00", "limit": 1}
    record |= {"candidates": {"post_ids": ["p1"], "scores": [0.25], "propensities": [1.0]}}
    record |= {"served_by": "champion"}
    with pytest.raises(msgspec.ValidationError):
        decode_request(msgspec.json.encode(record | {"vectors": vectors, "vector_names": names}))
    fitting = record | {"vectors": FITTING, "vector_names": ["a", "b"]}
    np.testing.assert_array_equal(decode_request(msgspec.json.encode(fitting)).matrix, [[0.5, 0.5]])


def _refuse(handle: int) -> None:
    raise OSError("no space left on device")


def _append_many(writer: SegmentWriter, name: str) -> None:
    for number in range(500):
        writer.append(f"{name}{number}".encode())


def test_records_after_a_torn_middle_are_found_once_no_writer_is_left(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, "writer")
    for payload in (b'{"n": 1}', b'{"n": 2}', b'{"n": 3}'):
        writer.append(payload)
    writer.sync()
    (path,) = tmp_path.iterdir()
    size = HEADER.size + 8
    data = bytearray(path.read_bytes())
    data[size : size + 6] = bytes(6)
    path.write_bytes(data)
    assert has_writer(path) and read_records(path) == ([b'{"n": 1}'], [0], size, 2 * size, 0)
    writer.close()
    (path,) = tmp_path.iterdir()
    assert not has_writer(path)
    assert read_records(path) == ([b'{"n": 1}', b'{"n": 3}'], [0, 2 * size], 3 * size, 0, size)
    assert read_records(path, size) == ([b'{"n": 3}'], [2 * size], 3 * size, 0, size)


def test_a_write_that_breaks_off_on_a_full_disk_spoils_nothing(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, "writer")
    writer.append(b"kept")
    writer.sync()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Beyond this size a write is cut short, and the next one refused, as on a full disk.
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for _ in range(3):
            resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
            writer.append(b"refused, and cut short")
            with pytest.raises(OSError):
                writer.sync()
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    writer.append(b"later")
    writer.close()
    read = [read_records(path) for path in find_segments(tmp_path).values()]
    assert [found.payloads for found in read] == [[b"kept"], [b"later"]]
    assert [found.torn_bytes for found in read] == [8, 0]  # segments that held nothing durable are gone


def test_an_old_segment_is_closed_though_nothing_comes(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, "writer", rotate_seconds=0.01)
    writer.append(b"first")
    writer.sync()
    time.sleep(0.02)
    writer.rotate()
    assert [path.suffix for path in tmp_path.iterdir()] == [CLOSED]
