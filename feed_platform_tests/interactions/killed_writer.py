"""A segment writer killed over and over under a client that retries; a program without heavy imports.

`python killed_writer.py FOLDER KILLS EVENTS` posts events in batches to a forked writer, kills it with
SIGKILL at seeded moments, posts what wasn't acknowledged to the next one, and prints how many were killed
with a batch on its way.
"""

import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from feed_platform.interactions.segments import SegmentWriter

BATCH = 50
WORD = 4


@dataclass
class Writer:
    """A forked writer: takes numbers of batches, answers each once it is durable."""

    pid: int
    asks: int
    answers: int

    @classmethod
    def fork(cls, folder: Path) -> "Writer":
        asked, asks = os.pipe()
        answers, answered = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(asks)
            _write(folder, asked, answered)
        os.close(asked)
        os.close(answered)
        return cls(pid, asks, answers)

    def ask(self, batch: int) -> None:
        os.write(self.asks, batch.to_bytes(WORD, "little"))

    def answer(self) -> int | None:
        """The next batch that is durable; None where the writer has died."""
        word = os.read(self.answers, WORD)
        return int.from_bytes(word, "little") if word else None

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def close(self) -> None:
        os.close(self.asks)
        os.close(self.answers)


def _write(folder: Path, asked: int, answered: int) -> None:
    writer = SegmentWriter(folder, f"killed-{os.getpid()}", rotate_bytes=20_000)
    while word := os.read(asked, WORD):
        for event in range(BATCH):
            writer.append(_event(int.from_bytes(word, "little") * BATCH + event))
        writer.sync()
        os.write(answered, word)
    os._exit(0)


def _event(number: int) -> bytes:
    times = '"occurred_at":"2026-03-05T12:20:00","received_at":"2026-03-05T12:20:01"'
    return f'{{"event_id":"e{number}","event_type":"click","post_id":"p1","user_id":"u1",{times}}}'.encode()


def main(folder: Path, kills: int, events: int) -> None:
    """Post every event until it is acknowledged."""
    rng = random.Random(7)
    left, interrupted = list(range(events // BATCH))[::-1], 0
    for _ in range(kills):
        writer = Writer.fork(folder)
        for _ in range(min(rng.randrange(6), len(left) - 1)):
            writer.ask(left[-1])
            assert writer.answer() == left.pop()
        writer.ask(left[-1])
        time.sleep(rng.random() * 0.002)
        writer.kill()
        if writer.answer() is None:
            interrupted += 1
        else:
            left.pop()
        writer.close()
        assert left, "fewer events than the kills need"
    writer = Writer.fork(folder)
    while left:
        writer.ask(left[-1])
        assert writer.answer() == left.pop()
    writer.kill()
    sys.stdout.write(f"{interrupted}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
