"""What a bundle costs where it scores: latency and memory of a process that does nothing else."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from feed_platform.feed import Budgets, FeedError
from feed_platform.learning.bundle import Bundle
from feed_platform.learning.scorers import Boosted
from feed_platform.promotion.finding import Finding

SECONDS = 120


@dataclass(frozen=True)
class Cost:
    """Milliseconds per 200 candidates, megabytes that the process grew by, trees of all objectives."""

    p50_ms: float
    p95_ms: float
    memory_mb: float
    trees: int


def measure(bundle: Bundle, models: Path) -> Cost:
    """Load and score the bundle in a process of its own, on one thread.

    Raises:
        FeedError: it can't be loaded, fails its self-test or takes over two minutes.
    """
    command = [sys.executable, "-m", "feed_platform.promotion.scoring", str(models / bundle.save(models))]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=one_thread, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FeedError(f"model {bundle.version[:12]} scores nothing within {SECONDS} s") from error
    if done.returncode:
        raise FeedError(f"model {bundle.version[:12]} can't score: {done.stderr.strip().splitlines()[-1]}")
    return Cost(**json.loads(done.stdout), trees=_trees(bundle))


def within(cost: Cost, budgets: Budgets) -> list[Finding]:
    """One finding for each budget."""
    return [
        _finding(
            "latency", "Scoring 200 candidates (95th percentile)", cost.p95_ms, budgets.latency_ms, " ms"
        ),
        _finding("memory", "Loading and scoring", cost.memory_mb, budgets.memory_mb, " MB"),
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
