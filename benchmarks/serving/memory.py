"""What a large snapshot adds to the service's memory, as proportional set size (PSS) of all its processes.

`python -m benchmarks.serving.memory [--users 1000000] [--posts 200000] [--replicas 2] [--port 21000]` starts
a service of its own, first on a snapshot of 20 people, then on the large one, and stops it. A replica reads
each snapshot whole before it serves from it; random requests follow.
"""

import argparse
import http.client
import json
import re
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.serving.crowd import grow, load_base
from feed_platform.features import online
from feed_platform.home import prepare_home
from feed_platform.serving import service
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

REQUESTS, CANDIDATES = 400, 200


def processes(home: Path) -> list[Path]:
    """The folders in /proc of all processes below the service's of a home."""
    mine, parents = set(), {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, stat = (folder / "cmdline").read_bytes(), (folder / "stat").read_text()
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        parents[folder.name] = stat.rsplit(")", 1)[1].split()[1]
        if str(home).encode() in command or f"FEED_HOME={home}".encode() in environment:
            mine.add(folder.name)
    while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= more
    return [Path("/proc") / pid for pid in mine]


def pss(home: Path) -> tuple[float, float]:
    """Proportional memory of a home's service in MiB: of all processes, and what of it is mapped arrays."""
    total = mapped = 0
    for process in processes(home):
        try:
            total += _kib((process / "smaps_rollup").read_text(), "Pss")
            mapped += sum(
                _kib(part, "Pss")
                for part in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", (process / "smaps").read_text())
                if f"{home}/online/" in part or "/online/" in part.split("\n", 1)[0]
            )
        except OSError:
            continue
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


def wait_until_mapped(home: Path, size: float) -> None:
    """Until the replicas have mapped so many MiB, and no other snapshot is left."""
    end = time.monotonic() + 240
    while pss(home)[1] < 0.95 * size:
        assert time.monotonic() < end, f"the snapshot isn't served: {pss(home)[1]:,.0f} MiB are mapped"
        time.sleep(2)
    time.sleep(10)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("users", 1_000_000), ("posts", 200_000), ("replicas", 2), ("port", 21_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), http_port=options.port, replicas=options.replicas)
        prepare_home(settings)
        samples.fill(settings)
        facts = grow(settings, load_base(settings), options.users, options.posts, samples.AS_OF)
        service.start(settings, print)
        try:
            measure(settings, facts, options.posts)
        finally:
            service.stop(settings)


def measure(settings: Settings, facts: dict[str, str], posts: int) -> None:
    """The service on 20 people, then on the large snapshot."""
    home, port = settings.home, settings.http_port
    assert port is not None
    ask(port, 0)
    empty = pss(home)
    size = sum(path.stat().st_size for path in (settings.online / facts["snapshot"]).iterdir()) / 2**20
    online.write_atomically(settings.online / "current.json", json.dumps(facts))
    wait_until_mapped(home, size)
    ask(port, posts)
    full = pss(home)
    print("| | MiB |\n|---|---:|")
    print(f"| snapshot on disk | {size:,.0f} |\n| PSS, 20 people | {empty[0]:,.0f} |")
    print(f"| PSS, the large snapshot | {full[0]:,.0f} |\n| of it mapped arrays | {full[1]:,.0f} |")
    print(f"| added | {full[0] - empty[0]:,.0f} |")


if __name__ == "__main__":
    main()
