"""Heads wait for their bodies, and for nothing else."""

import asyncio
from collections.abc import Callable

import pytest
import uvicorn
from starlette.applications import Starlette
from uvicorn.config import HTTP_PROTOCOLS

from feed_platform.serving.one_write import Held, OneWrite, install


class Recorder:
    """A transport that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.told.append(data)

    def close(self) -> None:
        self.told.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.told


def told(use: Callable[[Held], None], turns: int = 0) -> list[bytes | str]:
    """What arrives at the transport, at once or some turns of the event loop later."""

    async def record() -> list[bytes | str]:
        recorder = Recorder()
        use(Held(recorder))
        for _ in range(turns):
            await asyncio.sleep(0)
        return [*recorder.told]

    return asyncio.run(record())


def write(*parts: bytes) -> Callable[[Held], None]:
    return lambda held: [held.write(part) for part in parts] and None


def test_head_and_body_are_one_write() -> None:
    assert told(write(b"head ", b"body")) == [b"head body"]


@pytest.mark.parametrize(("turns", "expected"), [(0, []), (2, [b"head"])])
def test_a_head_alone_waits_for_the_next_turn(turns: int, expected: list[bytes]) -> None:
    """As in an answer to HEAD."""
    assert told(write(b"head"), turns) == expected


def test_nothing_is_lost_or_out_of_order() -> None:
    assert b"".join(told(write(b"1", b"2", b"3", b"4", b"5"), 2)) == b"12345"  # type: ignore[arg-type]


def test_what_is_held_goes_before_the_close() -> None:
    def write_and_close(held: Held) -> None:
        held.write(b"head")
        held.close()

    assert told(write_and_close, 2) == [b"head", "closed"]


def test_all_else_is_the_transports() -> None:
    asked: list[bool] = []
    told(lambda held: asked.append(held.is_closing()))
    assert asked == [False]


def test_uvicorn_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HTTP_PROTOCOLS, "auto", HTTP_PROTOCOLS["auto"])
    install()
    config = uvicorn.Config(Starlette())
    config.load()
    assert config.http_protocol_class is OneWrite
