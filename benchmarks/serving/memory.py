"""What a large snapshot adds to the service's memory, as proportional set size (PSS) of all its processes.

`python -m benchmarks.serving.memory [--users 1000000] [--posts 200000] [--replicas 2] [--port 21000]` starts
a service of its own, first on a snapshot of 20 people, then on the large one, and stops it. A replica reads
each snapshot whole before it serves from it; random requests follow.
"""

import http.client
import json
import re
import time
from pathlib import Path

import numpy as np

from benchmarks.serving.crowd import grow, load_base
from benchmarks.serving.homes import filled, numbers, running
from feed_platform.feed import write_atomically
from feed_platform.serving.cluster import Cluster
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

REQUESTS, CANDIDATES = 400, 200


def pss(settings: Settings) -> tuple[float, float]:
    """Proportional memory of a home's service in MiB: of all processes, and what of it is mapped arrays."""
    running = Cluster.running(settings)
    total = mapped = 0
    for process in running.processes() if running else []:
        folder = Path(f"/proc/{process.pid}")
        try:
            total += _kib((folder / "smaps_rollup").read_text(), "Pss")
            parts = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", (folder / "smaps").read_text())
        except OSError:
            continue
        mapped += sum(_kib(part, "Pss") for part in parts if f"{settings.online}/" in part.split("\n", 1)[0])
    return total / 1024, mapped / 1024


def _kib(text: str, name: str) -> int:
    found = re.search(rf"(?m)^{name}:\s+(\d+) kB", text)
    return int(found[1]) if found else 0


def ask(port: int, posts: int) -> None:
    """Rank random posts for random users."""
    rng = np.random.default_rng(1)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(REQUESTS):
        shown = [f"post-{number}" for number in rng.choice(max(posts, CANDIDATES), CANDIDATES, replace=False)]
        body = json.dumps({"candidate_ids": shown, "user_id": f"u{rng.integers(20)}"})
        connection.request("POST", "/v1/rank", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == http.client.OK, answer.status


def wait_until_mapped(settings: Settings, size: float) -> None:
    """Until the replicas have mapped so many MiB, and the snapshot before had time to go."""
    end = time.monotonic() + 240
    while pss(settings)[1] < 0.95 * size:
        assert time.monotonic() < end, f"the snapshot isn't served: {pss(settings)[1]:,.0f} MiB are mapped"
        time.sleep(2)
    time.sleep(10)


def main() -> None:
    """Measure and print."""
    options = numbers(__doc__, users=1_000_000, posts=200_000, replicas=2, port=21_000)
    with filled(options.port, options.replicas) as settings:
        facts = grow(settings, load_base(settings), options.users, options.posts, samples.AS_OF)
        with running(settings) as port:
            measure(settings, port, facts, options.posts)


def measure(settings: Settings, port: int, facts: dict[str, str], posts: int) -> None:
    """The service on 20 people, then on the large snapshot."""
    ask(port, 0)
    empty = pss(settings)
    size = sum(path.stat().st_size for path in (settings.online / facts["snapshot"]).iterdir()) / 2**20
    write_atomically(settings.online / "current.json", json.dumps(facts))
    wait_until_mapped(settings, size)
    ask(port, posts)
    full = pss(settings)
    print("| | MiB |\n|---|---:|")
    print(f"| snapshot on disk | {size:,.0f} |\n| PSS, 20 people | {empty[0]:,.0f} |")
    print(f"| PSS, the large snapshot | {full[0]:,.0f} |\n| of it mapped arrays | {full[1]:,.0f} |")
    print(f"| added | {full[0] - empty[0]:,.0f} |")


if __name__ == "__main__":
    main()
