"""`python -m benchmarks.off_policy`: coverage of 95 % intervals, by design and by effective rewards."""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.off_policy.worlds import DESIGNS, simulated
from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.off_policy.estimators import (
    DOUBLY_ROBUST,
    IPS,
    SNIPS,
    Logged,
    estimates,
    estimators,
)
from feed_platform.evaluation.off_policy.verdict import LEAST_REWARDS

NORMAL = "ips, normal"
COLUMNS = (IPS, SNIPS, DOUBLY_ROBUST, NORMAL)
BANDS = ((0, LEAST_REWARDS), (LEAST_REWARDS, 100), (100, np.inf))


@dataclass(frozen=True)
class Found:
    """One world: as how many rewards its log counts, and which intervals hold the truth."""

    design: str
    effective_rewards: float
    covers: dict[str, bool]


def main() -> None:
    """Simulate worlds until there are enough, or the time is up; print what the intervals cover."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=640, help="how many, over all designs")
    parser.add_argument("--minutes", type=float, default=30, help="stop after this many")
    options = parser.parse_args()
    found = list(_worlds(options.worlds, time.monotonic() + 60 * options.minutes))
    console = Console(width=120)
    console.print(f"{len(found)} worlds; 95 % intervals that hold the target's true value")
    for title, key in (("design", lambda one: one.design), ("all designs", lambda _: "all")):
        console.print(_table(title, found, key))


def _worlds(count: int, deadline: float) -> Iterator[Found]:
    for number in range(count):
        if time.monotonic() > deadline:
            return
        design = DESIGNS[number % len(DESIGNS)]
        logged, truth = simulated(design, 1_000 + number)
        intervals = {**estimates(logged), NORMAL: _normal(logged)}
        covers = {name: intervals[name].low <= truth <= intervals[name].high for name in COLUMNS}
        yield Found(design.name, logged.effective_rewards, covers)


def _normal(logged: Logged) -> Measure:
    """The textbook interval: mean ± 1.96 standard errors."""
    amount = estimators(logged)[IPS].of(logged.reward)
    value, margin = float(amount.mean()), 1.96 * float(amount.std()) / len(amount) ** 0.5
    return Measure(value, value - margin, value + margin, len(amount))


def _table(title: str, found: list[Found], key: Callable[[Found], str]) -> Table:
    table = Table(title, "effective rewards", "worlds", *COLUMNS)
    for name in dict.fromkeys(map(key, found)):
        for low, high in BANDS:
            band = [one for one in found if key(one) == name and low <= one.effective_rewards < high]
            if band:
                shares = [f"{np.mean([one.covers[column] for one in band]):.1%}" for column in COLUMNS]
                table.add_row(
                    name, f"{low} and more" if high == np.inf else f"{low} to {high}", str(len(band)), *shares
                )
    return table


if __name__ == "__main__":
    main()
