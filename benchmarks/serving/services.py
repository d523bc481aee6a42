"""The contenders' processes: started in turns, timed until ready, weighed, ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.serving.world import predict_bodies, rank_bodies
from feed_platform import processes
from feed_platform.processes import Process
from feed_platform.serving import cluster, service
from feed_platform.settings import Settings

REPOSITORY = Path(__file__).parents[2]
READY_SECONDS, PATIENCE = 180.0, 20.0
WAKE_SECONDS, SWAP_SECONDS = 0.5, 60.0
JSON = {"Content-Type": "application/json"}


@dataclass
class Service:
    """A service that answers at `port`; `cold` is how many seconds it took to."""

    name: str
    port: int
    cold: float
    leader: int
    folder: Path

    @property
    def memory_mib(self) -> float:
        """Proportional memory of its processes (MiB)."""
        return sum(_pss(one.pid) for one in self._processes()) / 2**20

    def pause(self) -> None:
        """Stop its processes where they are: a Ray that nobody asks takes a seventh of a core."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let them go on, and catch up with what they missed."""
        self._signal(signal.SIGCONT)
        time.sleep(WAKE_SECONDS)

    def _signal(self, number: signal.Signals) -> None:
        for one in self._processes():
            one.signal(number)

    def _processes(self) -> set[Process]:
        leader = Process.find(self.leader)
        return {*([leader] if leader else []), *processes.of_session(self.leader, self.folder)}

    def ask(self, path: str, body: bytes) -> dict[str, list[dict[str, float]]]:
        """One answer."""
        url = f"http://127.0.0.1:{self.port}{path}"
        answer = httpx.post(url, content=body, headers=JSON, timeout=30, trust_env=False)
        answer.raise_for_status()
        return dict(answer.json())


def start_ours(settings: Settings, name: str) -> Service:
    """The product, as `feed serve start` brings it up."""
    began = time.monotonic()
    running = service.start(settings, print)
    assert running.base
    return Service(name, running.base, time.monotonic() - began, running.head.pid, running.folder.resolve())


def start(kind: str, name: str, world: Path, port: int) -> Service:
    """A contender in a session of its own, in a folder of its own."""
    began, folder = time.monotonic(), world / kind
    folder.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "FEED_"))}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serving.contenders", kind, str(world), str(port)],
            env=kept | {"PYTHONPATH": str(REPOSITORY), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    made = Service(name, port, 0.0, process.pid, folder.resolve())
    try:
        _await_answer(made, process)
    except BaseException:
        stop(made)
        raise
    made.cold = time.monotonic() - began
    return made


def stop(made: Service) -> None:
    """End a contender, then what it left."""
    leader = Process.find(made.leader)
    processes.end([leader] if leader else [], PATIENCE)
    processes.end(processes.of_session(made.leader, made.folder), PATIENCE)


def await_served(client: httpx.Client, part: str, wanted: str) -> None:
    """Return when the product's `/readyz` names it."""
    service.await_until(lambda: client.get("/readyz").json()[part] == wanted, SWAP_SECONDS, lambda: None)


def stop_ours(settings: Settings) -> None:
    """End the product's service."""
    cluster.stop(settings)


def compare(services: list[Service]) -> Iterator[str]:
    """Ask each the same questions; the scores must be equal.

    Raises:
        SystemExit: a score differs.
    """
    body = rank_bodies(200)[0]
    scores = {made.name: _scores(made.ask("/v1/rank", body)) for made in services}
    first = scores[services[0].name]
    for name, found in scores.items():
        worst = max(abs(found[post] - score) for post, score in first.items())
        if found.keys() != first.keys() or worst > 1e-6:
            raise SystemExit(f"{name} scores otherwise than {services[0].name}: by {worst}")
    for made in services:
        made.ask("/v1/predict", predict_bodies()[0])
    yield f"200 scores are the same in all {len(services)} services"


def _scores(answer: dict[str, list[dict[str, float]]]) -> dict[float, float]:
    return {item["post_id"]: item["score"] for item in answer["items"]}


def _await_answer(made: Service, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            made.ask("/v1/predict", predict_bodies()[0])
            return
        except httpx.HTTPError as error:
            if process.poll() is not None or time.monotonic() > until:
                log = (made.folder / "log").read_text()[-2_000:]
                raise SystemExit(f"{made.name} did not start ({error}):\n{log}") from error
        time.sleep(0.1)


def _pss(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_full_info().pss)
    except psutil.Error:
        return 0
