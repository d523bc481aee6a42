"""`python -m benchmarks.serving`: the ranking service beside what people would write instead.

Every service stands from the beginning to the end, stopped while others are asked. Each case asks one after
another, so that what else the machine does meets all of them; ratios are taken within a round, their medians
over the rounds are shown. `--port` is the base of 200 free ports.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving import services, world
from benchmarks.serving.services import Service
from feed_platform.serving import service
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

NAIVE, PLAIN, DEFAULT, ONE, TWO = (
    "naive",
    "plain ASGI",
    "Ray's defaults",
    "ours, 1 replica",
    "ours, 2 replicas",
)
CASES = {"/v1/rank, 200": 200, "/v1/predict, one row": 0, "/v1/rank, 1": 1, "/v1/rank, 1000": 1_000}
CONNECTIONS = (1, 16)
WARM_SECONDS = 0.5
Figures = dict[str, Any]
Table = dict[tuple[str, int], dict[str, list[Figures]]]


class Loader:
    """The process that asks."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serving.load"],
            env={**os.environ, "PYTHONPATH": str(services.REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self, made: Service, candidates: int, connections: int, seconds: float) -> Figures:
        """One case's p50 and p99 in ms, answers a second."""
        case = {
            "port": made.port,
            "candidates": candidates,
            "connections": connections,
            "seconds": seconds,
        }
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(case) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        if told["failed"]:
            print(f"  {made.name}: {told['failed']} of {len(told['seconds'])} requests failed")
        p50, p99 = np.percentile(told["seconds"], [50, 99]) * 1_000
        return {"p50": float(p50), "p99": float(p99), "rate": told["rate"]}

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def main() -> None:
    """Measure and print."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # the services are ended all the same
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one service in one case and round")
    parser.add_argument("--port", type=int, default=21_000)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        homes = [
            Settings(
                home=folder / str(replicas), http_port=options.port + 100 * (replicas - 1), replicas=replicas
            )
            for replicas in (1, 2)
        ]
        world.make(folder, homes)
        made = [stack.enter_context(one) for one in _contexts(folder, homes, options.port)]
        loader = Loader()
        stack.callback(loader.close)
        for told in services.compare(made):
            print(told)
        cases = {name: CASES[name] for name in options.only}
        rounds = _interleaved(loader, made, cases, options.rounds, options.seconds)
        print(*_table(rounds), sep="\n")
        print(*_targets(rounds), sep="\n")
        print(*_echo(loader, made), sep="\n")
        print(*_shipped(loader, homes[0], made, options.seconds), sep="\n")
        print(*_costs(made), sep="\n")
        print(f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def _contexts(folder: Path, homes: list[Settings], port: int) -> Iterator[Any]:
    yield _standing("naive", NAIVE, folder, port + 16)
    yield _standing("plain", PLAIN, folder, port + 17)
    yield _standing("ray", DEFAULT, folder, port + 18)
    for name, settings in zip((ONE, TWO), homes, strict=True):
        yield _ours(settings, name)


@contextmanager
def _standing(kind: str, name: str, folder: Path, port: int) -> Iterator[Service]:
    made = services.start(kind, name, folder, port)
    print(f"{name} is ready after {made.cold:.0f} s")
    try:
        yield made
    finally:
        services.stop(made)


@contextmanager
def _ours(settings: Settings, name: str) -> Iterator[Service]:
    try:
        yield services.start_ours(settings, name)
    finally:
        services.stop_ours(settings)


def _interleaved(
    loader: Loader, made: list[Service], cases: dict[str, int], rounds: int, seconds: float
) -> Table:
    table: Table = defaultdict(lambda: defaultdict(list))
    with _standing_still(made):
        for turn in range(rounds):
            for (case, candidates), connections in product(cases.items(), CONNECTIONS):
                for one in made[turn % len(made) :] + made[: turn % len(made)]:
                    one.wake()
                    loader.measure(one, candidates, connections, WARM_SECONDS)
                    found = loader.measure(one, candidates, connections, seconds)
                    one.pause()
                    table[case, connections][one.name].append(found)
            print(f"round {turn + 1} of {rounds}, load {os.getloadavg()[0]:.1f}", flush=True)
    return table


@contextmanager
def _standing_still(made: list[Service]) -> Iterator[None]:
    """Services are stopped, and go on when the block ends: what is stopped can't be ended."""
    try:
        for one in made:
            one.pause()
        yield
    finally:
        for one in made:
            one.wake()


def _median(found: list[Figures], figure: str) -> float:
    return statistics.median(one[figure] for one in found)


def _ratio(named: dict[str, list[Figures]], over: str, under: str) -> float:
    pairs = zip(named[over], named[under], strict=True)
    return statistics.median(a["rate"] / b["rate"] for a, b in pairs)


def _table(rounds: Table) -> Iterator[str]:
    for (case, connections), named in rounds.items():
        yield f"\n{case}, {connections} connections      p50 ms   p99 ms      /s  to naive  to plain"
        for name, found in named.items():
            p50, p99, rate = (_median(found, figure) for figure in ("p50", "p99", "rate"))
            yield (
                f"  {name:24} {p50:12.2f} {p99:8.2f} {rate:7,.0f} "
                f"{_ratio(named, name, NAIVE):9.2f} {_ratio(named, name, PLAIN):9.2f}"
            )


def _targets(rounds: Table) -> Iterator[str]:
    wanted = (
        ("/v1/rank, 200", 1, ONE, NAIVE, 6.0),
        ("/v1/rank, 200", 16, ONE, NAIVE, 9.0),
        ("/v1/rank, 200", 16, TWO, NAIVE, 12.0),
        ("/v1/rank, 200", 1, ONE, PLAIN, 0.7),
        ("/v1/rank, 200", 16, TWO, PLAIN, 1.1),
        ("/v1/predict, one row", 1, ONE, NAIVE, 3.0),
        ("/v1/predict, one row", 16, ONE, NAIVE, 9.0),
    )
    yield "\ntargets"
    for case, connections, over, under, least in wanted:
        if (case, connections) in rounds:
            got = _ratio(rounds[case, connections], over, under)
            yield f"  {case}, {connections} connections, {over} to {under}: {got:.2f} of {least}"
    if ("/v1/rank, 200", 16) in rounds:
        named = rounds["/v1/rank, 200", 16]
        p99, p50 = _median(named[ONE], "p99"), _median(named[NAIVE], "p50")
        yield f"  p99 at 16 connections, {ONE}: {p99:.1f} ms, naive's p50: {p50:.1f} ms"


def _echo(loader: Loader, made: list[Service]) -> Iterator[str]:
    yield "\n/healthz through our ingress, 1 replica: what the ingress and the load generator take"
    ours = next(one for one in made if one.name == ONE)
    for connections in CONNECTIONS:
        found = loader.measure(ours, -1, connections, 2.0)
        yield f"  {connections:2} connections: p50 {found['p50']:.2f} ms, {found['rate']:,.0f} /s"


def _shipped(loader: Loader, settings: Settings, made: list[Service], seconds: float) -> Iterator[str]:
    """Another bundle in the first home: three calibrated objectives on all features."""
    samples.point_at(settings, world.several(settings), "2")
    ours = next(one for one in made if one.name == ONE)
    with service.connect(settings) as client:
        services.await_served(client, "model_version", "2")
    yield "\n/v1/rank, 200, three calibrated objectives of 100 trees of depth 4, 208 features, 1 replica"
    for connections in CONNECTIONS:
        found = loader.measure(ours, 200, connections, 2 * seconds)
        yield (
            f"  {connections:2} connections: p50 {found['p50']:.2f} ms, p99 {found['p99']:.2f} ms, "
            f"{found['rate']:,.0f} /s"
        )


def _costs(made: list[Service]) -> Iterator[str]:
    yield "\nservice                  cold start s  memory MiB"
    for one in made:
        yield f"{one.name:24} {one.cold:12.0f} {one.memory_mib:11,.0f}"


if __name__ == "__main__":
    main()
