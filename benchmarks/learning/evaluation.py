"""`python -m benchmarks.learning.evaluation`: what the report of a model costs, and how it grows.

A simulated world of a given size is trained with few trees, then its version is evaluated step by step, as
`evaluation/report` does. Beside the models' numbers stands scikit-learn: three of their twenty metrics over
as many resamplings of the users, for as many models.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.features.clock import peak_mib, timed
from benchmarks.headroom.world import dataset
from feed_platform.evaluation.bootstrap import draws_of
from feed_platform.evaluation.business import value_version
from feed_platform.evaluation.errors.analyse import analyse_errors
from feed_platform.evaluation.evaluate import Evaluation, evaluate_objectives
from feed_platform.evaluation.off_policy.evaluate import evaluate_off_policy
from feed_platform.evaluation.predictions import Material, gather
from feed_platform.evaluation.publish import publish_reports
from feed_platform.feed import load_feed
from feed_platform.lake import Lake
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.tracking import Launch
from feed_platform.learning.training import train
from feed_platform.settings import Settings

A_USER = 60
HEADER = "      rows  test rows models step                    wall s    CPU s"
PEER_DRAWS = 20
T = TypeVar("T")
Replicates = dict[str, dict[str, list[float]]]


def main() -> None:
    """Print each step's time for worlds of growing size, and the peak of this process so far."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning.evaluation", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    options = parser.parse_args()
    tell(HEADER)
    for rows in options.rows:
        with tempfile.TemporaryDirectory(prefix="bench-evaluation-") as name:
            for line in measured(Settings(home=Path(name)), rows):
                tell(line)
        tell(f"{rows:10,} peak of the process {peak_mib():,.0f} MiB")


def measured(settings: Settings, rows: int) -> Iterator[str]:
    """A line for each step of one world's evaluation."""
    dataset(settings.root, rows, A_USER, seed=1)
    feed, lake = load_feed(settings), Lake.of(settings)
    outcome = train(settings, feed, RankerConfig(rounds=50), Launch(f"evaluation-{rows}", "benchmark"))
    version = outcome.candidate
    size = f"{rows:10,} {len(outcome.data.test):10,} {len(outcome.trained.bundles):6}"
    material, line = step(size, "predictions", lambda: gather(settings, version))
    yield line
    found, line = step(size, "metrics", lambda: evaluate_objectives(lake, material))
    yield line
    peer, line = step(size, f"scikit-learn, {PEER_DRAWS} draws", lambda: by_sklearn(found[0], material))
    yield line
    check(found[0], peer)
    for name, work in {
        "money and feeds": lambda: value_version(material),
        "off-policy": lambda: evaluate_off_policy(settings, version),
        "error analysis": lambda: analyse_errors(settings, material),
        "whole report": lambda: publish_reports(settings),
    }.items():
        yield step(size, name, work)[1]


def step(size: str, name: str, work: Callable[[], T]) -> tuple[T, str]:
    """What a step made, and its line."""
    with timed() as clock:
        made = work()
    return made, f"{size} {name:22} {clock['seconds']:9.1f} {clock['cpu']:8.1f}"


def by_sklearn(found: Evaluation, material: Material) -> Replicates:
    """Three metrics of every model on the same draws of users, which are its sample weights."""
    from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

    metrics = {"log_loss": log_loss, "roc_auc": roc_auc_score, "pr_auc": average_precision_score}
    weights = [draw[material.user] for draw in draws_of(material.users)[:PEER_DRAWS]]
    return {
        kind: {
            name: [metric(one.label, one.probability, sample_weight=weight) for weight in weights]
            for name, metric in metrics.items()
        }
        for kind, one in found.scored.items()
    }


def check(found: Evaluation, peer: Replicates) -> None:
    """Both must say the same."""
    for kind, metrics in peer.items():
        for name, values in metrics.items():
            assert np.allclose(values, found.models[kind].replicates[name][:PEER_DRAWS], atol=1e-6), name


def tell(line: str) -> None:
    """Print a line as it comes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
