"""A hundred swaps of model and features under load from 16 connections: what fails, what mixes, what is slow.

`python -m benchmarks.serving.swaps [--swaps 100] [--users 20] [--posts 0] [--replicas 1] [--port 21000]`
starts a service of its own, measures without swaps, with them, and without again, and stops it. The models
have three objectives of 100 trees on all features. `--users` more people have 8 topic and 12 author pairs
each; `--posts` are more posts.
"""

import http.client
import json
import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from multiprocessing.synchronize import Event

import numpy as np

from benchmarks.serving.crowd import grow, load_base
from benchmarks.serving.homes import filled, numbers, running
from benchmarks.serving.services import await_served
from benchmarks.serving.world import bundle, several
from feed_platform.feed import write_atomically
from feed_platform.learning.bundle import Bundle
from feed_platform.serving import service
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

CONNECTIONS, CANDIDATES = 16, 50
PAUSE_SECONDS, QUIET_SECONDS = 0.4, 10.0


@dataclass
class Seen:
    """What a stretch of load saw; `answers` is what each pair of model and hour said."""

    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    answers: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def add(self, other: "Seen") -> None:
        self.seconds += other.seconds
        self.failures += other.failures
        for pair, said in other.answers.items():
            self.answers.setdefault(pair, set()).update(said)

    def line(self, name: str) -> str:
        p50, p99 = np.percentile(self.seconds, [50, 99]) * 1_000
        mixed = sum(len(said) > 1 for said in self.answers.values())
        return (
            f"{name:14} {len(self.seconds):7,} requests  p50 {p50:6.1f} ms  p99 {p99:6.1f} ms  "
            f"max {max(self.seconds) * 1_000:6.0f} ms  failed {sum(self.failures.values())}  "
            f"pairs {len(self.answers)}  mixed {mixed}"
        )


def ask_on(port: int, done: Event, seen: Seen) -> None:
    """One connection's requests until `done`."""
    candidates = [f"p{n}" for n in range(CANDIDATES)]
    asked = {"candidate_ids": candidates, "user_id": "u1", "requested_at": "2026-01-10T09:30:00Z"}
    body = json.dumps(asked)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while not done.is_set():
        began = time.perf_counter()
        try:
            connection.request("POST", "/v1/rank", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text, status = answer.read(), answer.status
        except OSError as error:
            seen.failures[type(error).__name__] += 1
            connection.close()
            continue
        seen.seconds.append(time.perf_counter() - began)
        if status != http.client.OK:
            seen.failures[str(status)] += 1
            continue
        told = json.loads(text)
        scores = sorted((item["post_id"], item["score"]) for item in told["items"])
        if told["served_by"] != "champion":
            seen.failures[told["served_by"]] += 1
        pair = told["model_version"], told["features_as_of"]
        seen.answers.setdefault(pair, set()).add(str(hash(str(scores))))


def load(port: int, done: Event, results: "multiprocessing.Queue[Seen]") -> None:
    """All connections, in a process of their own."""
    parts = [Seen() for _ in range(CONNECTIONS)]
    threads = [threading.Thread(target=ask_on, args=(port, done, part)) for part in parts]
    for thread in threads:
        thread.start()
    total = Seen()
    for thread, part in zip(threads, parts, strict=True):
        thread.join()
        total.add(part)
    results.put(total)


class UnderLoad:
    """Load while the block runs; `seen` afterwards."""

    def __init__(self, port: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._done, self._results = context.Event(), context.Queue()
        self._process = context.Process(target=load, args=(port, self._done, self._results))

    def __enter__(self) -> "UnderLoad":
        self._process.start()
        time.sleep(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.seen = self._results.get()
        self._process.join()


def swap(settings: Settings, models: list[Bundle], swaps: int, snapshots: list[dict[str, str]]) -> None:
    """Move the two pointers in turn, each when what the other one names serves."""
    with service.connect(settings) as client:
        for number in range(swaps):
            if number % 2:
                facts = snapshots[number // 2 % len(snapshots)]
                write_atomically(settings.online / "current.json", json.dumps(facts))
                named = "snapshot", facts["snapshot"]
            else:
                named = "model_version", str(100 + number)
                samples.point_at(settings, models[number // 2], named[1])
            await_served(client, *named)
            time.sleep(PAUSE_SECONDS)


def reweighted(model: Bundle, factor: float) -> Bundle:
    """Another model of the same trees, whose scores are others."""
    heads = tuple(replace(head, weight=head.weight * factor) for head in model.heads)
    return bundle(model.features, heads)


def main() -> None:
    """Measure and print."""
    options = numbers(__doc__, swaps=100, users=20, posts=0, replicas=1, port=21_000)
    with filled(options.port, options.replicas) as settings:
        base, hours = load_base(settings), (samples.AS_OF, samples.AS_OF + timedelta(hours=1))
        snapshots = [grow(settings, base, options.users, options.posts, hour) for hour in hours]
        write_atomically(settings.online / "current.json", json.dumps(snapshots[0]))
        model = several(settings)
        models = [reweighted(model, 1.001 + number / 1_000) for number in range(0, options.swaps, 2)]
        samples.point_at(settings, model, "99")
        with running(settings) as port:
            measure(port, lambda: swap(settings, models, options.swaps, snapshots))


def measure(port: int, swap_all: Callable[[], None]) -> None:
    """Without swaps, with them, without again."""
    quiet = Seen()
    for number, name in enumerate(("before", "during swaps", "after")):
        with UnderLoad(port) as under:
            if number == 1:
                swap_all()
            else:
                time.sleep(QUIET_SECONDS)
        print(under.seen.line(name), dict(under.seen.failures) or "")
        if number == 1:
            swapped = under.seen
        else:
            quiet.add(under.seen)
    ratio = np.percentile(swapped.seconds, 99) / np.percentile(quiet.seconds, 99)
    print(f"p99 during swaps: {ratio:.2f} times that without")


if __name__ == "__main__":
    main()
