"""One contender in a process of its own: `python -m benchmarks.learning.fits`; prints its figures as JSON."""

import argparse
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import xgboost  # noqa: TID253, before any clock runs
from numpy.typing import NDArray

from benchmarks.features.clock import timed
from benchmarks.learning.wide import EVENTS, FEATURES, SPLIT, dataset_of, parquet_of
from feed_platform.learning.baselines import log_loss
from feed_platform.learning.binned import THREADS, Binned
from feed_platform.learning.ranker import RankerConfig, fit_rankers, fit_rounds, parameters
from feed_platform.learning.scorers import Boosted
from feed_platform.learning.splits import Window
from feed_platform.learning.spool import as_matrix
from feed_platform.settings import Settings

COMPARED = 50_000
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Rows:
    """What plain XGBoost takes: features (n, 40) and labels by event."""

    matrix: Floats
    labels: dict[str, Floats]


def ours(settings: Settings, events: list[str], config: RankerConfig) -> tuple[dict[str, Boosted], Any]:
    """The product's fit step."""
    with measured() as figures:
        data = dataset_of(settings)
        boosters = fit_rankers(data.train, data.validation, events, config)
    return boosters, figures


def ours_refitted(
    settings: Settings, events: list[str], config: RankerConfig
) -> tuple[dict[str, Boosted], Any]:
    """The same, and fitted once more to train and validation, as the product does before it serves."""
    with measured() as figures:
        data = dataset_of(settings)
        boosters = fit_rankers(data.train, data.validation, events, config)
        newer = Binned(data.before_calibration)
        for event, booster in boosters.items():
            fit_rounds(newer, event, config, booster.booster.num_boosted_rounds())
    return boosters, figures


def parquet(settings: Settings, events: list[str], config: RankerConfig) -> tuple[dict[str, Boosted], Any]:
    """Plain XGBoost from one Parquet file."""
    with measured() as figures:
        train = read(settings, SPLIT.train, events)
        boosters = plain(train, read(settings, SPLIT.validation, events), config)
    return boosters, figures


def memory(settings: Settings, events: list[str], config: RankerConfig) -> tuple[dict[str, Boosted], Any]:
    """Plain XGBoost on matrices that are in memory before the clock runs."""
    train, validation = read(settings, SPLIT.train, events), read(settings, SPLIT.validation, events)
    with measured() as figures:
        boosters = plain(train, validation, config)
    return boosters, figures


def read(settings: Settings, window: Window, events: list[str]) -> Rows:
    """A part of the split, from the Parquet file."""
    shown = [("shown_at", ">=", window.start), ("shown_at", "<", window.end)]
    labels = [f"label_{event}" for event in events]
    table = pq.read_table(parquet_of(settings), columns=[*labels, *FEATURES], filters=shown)
    matrix = np.empty((len(table), len(FEATURES)), np.float32)
    for n, name in enumerate(FEATURES):
        matrix[:, n] = table[name].to_numpy()
    known = {event: table[f"label_{event}"].to_numpy().astype(np.float32) for event in events}
    return Rows(matrix, known)


def plain(train: Rows, validation: Rows, config: RankerConfig) -> dict[str, Boosted]:
    """The product's parameters, rounds and early stopping; quantiles shared by the events."""
    names = list(FEATURES)
    data = xgboost.QuantileDMatrix(train.matrix, feature_names=names, nthread=THREADS)
    stopping = xgboost.QuantileDMatrix(validation.matrix, feature_names=names, nthread=THREADS, ref=data)
    boosters = {}
    for event in train.labels:
        data.set_info(label=train.labels[event])
        stopping.set_info(label=validation.labels[event])
        found = xgboost.train(
            parameters(config),
            data,
            config.rounds,
            evals=[(stopping, "validation")],
            early_stopping_rounds=config.patience,
            verbose_eval=False,
        )
        boosters[event] = Boosted(bytes(found[: found.best_iteration + 1].save_raw("ubj")))
    return boosters


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Wall and CPU seconds of the block, and the most anonymous and shared memory (MiB) that it held."""
    peak, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            peak[0] = max(peak[0], held_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with timed() as figures:
            yield figures
    finally:
        ended.set()
        watcher.join()
    figures["peak_mib"] = peak[0]


def held_mib() -> float:
    """Memory that the kernel can't drop (MiB): what is mapped from files on disk doesn't count."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem"))) / 1024


def losses(settings: Settings, boosters: dict[str, Boosted]) -> dict[str, float]:
    """Log loss of each model on the first rows after validation."""
    labels = [f"label_{event}" for event in boosters]
    rows = next(dataset_of(settings).calibration.source.batches([*FEATURES, *labels])).head(COMPARED)
    matrix = as_matrix(rows.select(FEATURES))
    return {
        event: log_loss(rows[f"label_{event}"].to_numpy(), booster.raw(matrix))
        for event, booster in boosters.items()
    }


CONTENDERS: dict[str, Callable[..., tuple[dict[str, Boosted], Any]]] = {
    step.__name__: step for step in (ours, ours_refitted, parquet, memory)
}


def main() -> None:
    """Run one contender."""
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("--objectives", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    settings, config = Settings(), RankerConfig(rounds=options.rounds)
    events = list(EVENTS[: options.objectives])
    boosters, figures = CONTENDERS[options.contender](settings, events, config)
    found = {event: booster.booster.num_boosted_rounds() for event, booster in boosters.items()}
    compared = {"rounds": found, "losses": losses(settings, boosters)}
    sys.stdout.write(json.dumps({**figures, **compared}) + "\n")


if __name__ == "__main__":
    main()
