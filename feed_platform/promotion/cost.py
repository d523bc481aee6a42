"""What a bundle costs where it scores: latency and memory of a process that answers as a replica does."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from feed_platform.features.online import OnlineSnapshot
from feed_platform.feed import Budgets, FeedError
from feed_platform.learning.bundle import Bundle
from feed_platform.learning.scorers import Boosted
from feed_platform.promotion.finding import Finding
from feed_platform.settings import Settings

SECONDS = 120
CANDIDATES, PEOPLE = 200, 200


@dataclass(frozen=True)
class Cost:
    """Milliseconds per 200 candidates, megabytes that the process grew by, trees of all objectives.

    `served` says whether requests were answered on the home's snapshot; else the bundle scored its own rows.
    """

    p50_ms: float
    p95_ms: float
    memory_mb: float
    trees: int
    served: bool


def measure(bundle: Bundle, settings: Settings, people: Sequence[str] = ()) -> Cost:
    """Load the bundle and answer with it in a process of its own, on one thread.

    Args:
        people: whose feeds are asked for; without any, those of unknown people.

    Raises:
        FeedError: it can't be loaded, fails its self-test, doesn't fit the snapshot, takes over two minutes.
    """
    folder, snapshot = settings.models / bundle.save(settings.models), OnlineSnapshot.current(settings)
    requests = _requests(snapshot, people) if snapshot else []
    command = [sys.executable, "-m", "feed_platform.promotion.scoring", str(folder)]
    command += [str(settings.root)] if snapshot else []
    numbers = _run(command, json.dumps(requests), bundle.version[:12])
    return Cost(**numbers, trees=_trees(bundle), served=snapshot is not None)


def _run(command: list[str], requests: str, name: str) -> dict[str, float]:
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command,
            input=requests,
            capture_output=True,
            text=True,
            env=one_thread,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FeedError(f"model {name} scores nothing within {SECONDS} s") from error
    if done.returncode:
        raise FeedError(f"model {name} can't score: {done.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(done.stdout))


def _requests(snapshot: OnlineSnapshot, people: Sequence[str]) -> list[dict[str, object]]:
    """One for each person, of posts from all over the snapshot, and unknown ones where it has too few."""
    step = max(1, len(snapshot.posts) // CANDIDATES)
    known = snapshot.posts[::step][:CANDIDATES]
    posts = [*known, *(f"unknown-{n}" for n in range(CANDIDATES - len(known)))]
    asked: Sequence[str | None] = people[:PEOPLE] or [None]
    return [{"user_id": person, "candidate_ids": posts} for person in asked]


def within(cost: Cost, budgets: Budgets) -> list[Finding]:
    """One finding for each budget."""
    where = "on the home's online snapshot" if cost.served else "of its own rows, there being no snapshot"
    does = "Answering for" if cost.served else "Scoring"
    latency = f"{does} 200 candidates {where} (95th percentile)"
    memory = "Loading model and snapshot and answering" if cost.served else "Loading and scoring"
    return [
        _finding("latency", latency, cost.p95_ms, budgets.latency_ms, " ms"),
        _finding("memory", memory, cost.memory_mb, budgets.memory_mb, " MB"),
        _finding("trees", "The model", cost.trees, budgets.trees, " trees"),
    ]


def _finding(name: str, what: str, value: float, most: float, unit: str) -> Finding:
    return Finding(
        name,
        "pass" if value <= most else "fail",
        f"{what} takes {value:,.4g}{unit}, the budget is {most:,.4g}{unit}.",
        numbers={"value": value, "budget": most},
    )


def _trees(bundle: Bundle) -> int:
    scorers = [head.scorer for head in bundle.heads]
    return sum(one.booster.num_boosted_rounds() for one in scorers if isinstance(one, Boosted))
