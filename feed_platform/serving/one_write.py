"""An answer's head and body in one packet: each write wakes HAProxy and the client, which wait for both."""

import asyncio
from typing import Any

import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


def install() -> None:
    """Have Uvicorn's servers in this process write so: Ray makes them, and has no setting for it."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:OneWrite"


class OneWrite(HttpToolsProtocol):
    """Uvicorn's protocol, which writes by `write` alone, on a transport that holds heads back."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        super().connection_made(Held(transport))  # type: ignore[arg-type]


class Held:
    """A transport that holds a write back until the next one, or until the event loop's next turn."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write, in its order."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(b"".join((held, data)))
        else:
            self._held = data
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Close when all is written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)
