"""Stands in for HAProxy's binary: closes what Ray's template leaves open, then becomes HAProxy.

Ray writes `bind *:` and `bind :` for the statistics and Prometheus frontends, without
authentication, and an admin socket that everyone may write. It also has each request watched for a
client that goes away, which costs more than an answer that nobody waits for: a header says not to. And
each request that has no id gets one here, where it costs less than in Python.
Run by path, without the package:
`haproxy_wrapper.py BINARY HTTP_PORT PUBLIC_HOST ARGUMENTS...`; ARGUMENTS are HAProxy's own.
"""

import os
import re
import sys
from pathlib import Path

HEADERS = (
    "http-request set-header x-request-disconnect-disabled ?1",
    "http-request set-header x-request-id %[uuid] unless { req.hdr(x-request-id) -m found }",
)


def closed(config: str, http_port: int, public_host: str) -> str:
    """HAProxy's configuration with every listener on loopback, but the API's on `public_host`.

    Example:
        >>> closed("bind *:8010", 8000, "127.0.0.1")
        'bind 127.0.0.1:8010'
        >>> closed("bind 127.0.0.1:8000", 8000, "0.0.0.0").splitlines()[0]
        'bind 0.0.0.0:8000'
        >>> print(closed("    bind 127.0.0.1:8000", 8000, "10.0.0.7"))
            bind 127.0.0.1:8000,10.0.0.7:8000
            http-request set-header x-request-disconnect-disabled ?1
            http-request set-header x-request-id %[uuid] unless { req.hdr(x-request-id) -m found }
    """
    on_loopback = re.sub(r"\bbind \*?:(\d+)", r"bind 127.0.0.1:\1", config).replace("mode 666", "mode 600")
    public = "\n    ".join((f"bind {_addresses(http_port, public_host)}", *HEADERS))
    return on_loopback.replace(f"bind 127.0.0.1:{http_port}", public)


def _addresses(port: int, host: str) -> str:
    if host in {"0.0.0.0", "127.0.0.1", "localhost"}:
        return f"{host.replace('localhost', '127.0.0.1')}:{port}"
    return f"127.0.0.1:{port},{host}:{port}"


def main(arguments: list[str]) -> None:
    """Rewrite the file given by `-f`, then exec HAProxy with the arguments unchanged."""
    binary, port, host, *rest = arguments
    if "-f" in rest:
        path = Path(rest[rest.index("-f") + 1])
        path.write_text(closed(path.read_text(), int(port), host))
    os.execv(binary, [binary, *rest])


if __name__ == "__main__":
    main(sys.argv[1:])
