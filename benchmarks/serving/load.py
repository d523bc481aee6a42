"""Requests over keep-alive connections, as fast as they are answered: `python -m benchmarks.serving.load`.

One process, one asyncio protocol a connection: prepared bytes out, of an answer its status and length in.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from benchmarks.serving.world import predict_bodies, rank_bodies

OK = b"HTTP/1.1 200"
LENGTH = b"content-length:"


@dataclass
class Case:
    """What is asked: `candidates` of a ranking, 0 for one row of `/v1/predict`, -1 for `/healthz`."""

    port: int
    candidates: int
    connections: int
    seconds: float
    most: int = 100_000

    def requests(self) -> list[bytes]:
        """The prepared bytes."""
        if self.candidates < 0:
            return [b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"]
        if self.candidates:
            return [_post("/v1/rank", body) for body in rank_bodies(self.candidates)]
        return [_post("/v1/predict", body) for body in predict_bodies()]


@dataclass
class Run:
    """The run's state, shared by its connections."""

    requests: list[bytes]
    until: float
    most: int
    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    turn: "count[int]" = field(default_factory=count)

    def next(self) -> bytes | None:
        """The next request, none at the end."""
        number = next(self.turn)
        if number >= self.most or time.perf_counter() >= self.until:
            return None
        return self.requests[number % len(self.requests)]


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._buffer = bytearray()
        self._missing = -1
        self._began = 0.0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask at once."""
        self._transport = transport
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        """Closed by us at the end, by the service it is a failure."""
        if not self.done.done():
            self._run.failed += 1
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Count what is missing of the answer; ask again when nothing is."""
        if self._missing < 0:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._missing = _length(bytes(self._buffer[:end])) + end + 4 - len(self._buffer)
            self._run.failed += not self._buffer.startswith(OK)
        else:
            self._missing -= len(data)
        if self._missing <= 0:
            self._run.seconds.append(time.perf_counter() - self._began)
            self._ask()

    def _ask(self) -> None:
        request = self._run.next()
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._buffer.clear()
        self._missing = -1
        self._began = time.perf_counter()
        self._transport.write(request)


def _length(head: bytes) -> int:
    start = head.lower().index(LENGTH) + len(LENGTH)
    return int(head[start:].split(b"\r\n", 1)[0])


def _post(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def measure(case: Case) -> dict[str, Any]:
    """Seconds of every answer, how many a second, how many failed."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    run = Run(case.requests(), began + case.seconds, case.most)
    run.until = (began := time.perf_counter()) + case.seconds
    made = [
        await loop.create_connection(lambda: Connection(run), "127.0.0.1", case.port)
        for _ in range(case.connections)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    took = time.perf_counter() - began
    return {"seconds": run.seconds, "rate": len(run.seconds) / took, "failed": run.failed}


def main() -> None:
    """Cases as JSON, one a line, from standard input; figures as JSON, one a line."""
    import uvloop

    for line in sys.stdin:
        figures = uvloop.run(measure(Case(**json.loads(line))))
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
