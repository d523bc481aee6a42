"""`python -m benchmarks.learning.promotion`: how often the gate passes models of other seeds.

The two models of a pair are trained on the same rows; one is taken for the champion, the other for the
candidate. None deserves to pass as a change; as a refresh all do. A model trained on the same rows with
shuffled labels must be refused. Every model meets every other one unless `--chain` lets it meet only the
next: fewer trainings for as many pairs, and pairs that share models.
"""

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import polars as pl

from benchmarks.learning.world import make_log
from feed_platform.feed import Promotion
from feed_platform.learning import calibration
from feed_platform.learning.baselines import fit_constant
from feed_platform.learning.bundle import Bundle, Head
from feed_platform.learning.calibration import Identity
from feed_platform.learning.dataset import Dataset
from feed_platform.learning.ranker import RankerConfig, fit_ranker
from feed_platform.promotion import looks
from feed_platform.promotion.contest import Claim, Contest, Side

RULES = Promotion(slices=())
EVENT = "click"
HEADER = "     rows models  pairs change passed refresh passed seeds sd / gain error / gain  shuffled   time"
CLAIMS: tuple[Claim, ...] = ("change", "refresh")


@dataclass(frozen=True)
class Judged:
    """One pair: the claims that passed, the difference and its standard error as shares of the gain."""

    passed: tuple[Claim, ...]
    gap: float
    error: float


def main() -> None:
    """Print, for each size, how many pairs passed each claim."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning.promotion", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[30_000, 1_000_000])
    parser.add_argument("--models", type=int, default=15, help="Seeds; 15 make 105 pairs.")
    parser.add_argument("--rate", type=float, default=0.037, help="Click rate.")
    parser.add_argument("--rounds", type=int, default=RankerConfig().rounds, help="Most trees.")
    parser.add_argument("--chain", action="store_true", help="Each model meets only the next.")
    options = parser.parse_args()
    sys.stdout.write(HEADER + "\n")
    for rows in options.rows:
        data = make_log(rows, options.rate, seed=11)
        config = RankerConfig(rounds=options.rounds)
        sys.stdout.write(line(data, options.models, config, options.chain) + "\n")
        sys.stdout.flush()


def line(data: Dataset, models: int, config: RankerConfig, chain: bool) -> str:
    """One size: its pairs judged under both claims, and the shuffled log's verdict."""
    began = time.monotonic()
    sides = [_fitted(data, config.model_copy(update={"seed": seed})) for seed in range(models)]
    constant = _constant(data)
    pairs = list(pairwise(sides) if chain else combinations(sides, 2))
    judged = [_judged(data, champion, candidate, constant) for champion, candidate in pairs]
    passed = Counter(claim for one in judged for claim in one.passed)
    shown = " ".join(f"{passed[claim]:14}" for claim in CLAIMS)
    spread, error = np.std([one.gap for one in judged]), np.mean([one.error for one in judged])
    figures = f"{spread:15.4f} {error:13.4f} {_shuffled(data, config):>9}"
    rows = sum(map(len, data.parts().values()))
    return f"{rows:9,} {models:6} {len(pairs):6} {shown} {figures} {time.monotonic() - began:6.0f} s"


def _judged(data: Dataset, champion: Side, candidate: Side, constant: Side) -> Judged:
    passed = []
    for claim in CLAIMS:
        contest = Contest(claim, data, data.split.test.start, data.test, candidate, champion, constant)
        found = {one.name: one for one in looks.comparisons(contest, RULES)}
        passed += [claim] if all(one.outcome == "pass" for one in found.values()) else []
    gain = float(np.mean(contest.losses(constant) - contest.losses(champion)))
    gap = float(np.mean(contest.losses(candidate) - contest.losses(champion)))
    claimed = found[looks.CLAIM].gap
    assert claimed is not None
    return Judged(tuple(passed), gap / gain, claimed.error / gain)


def _fitted(data: Dataset, config: RankerConfig) -> Side:
    booster = fit_ranker(data.train, data.validation, EVENT, config)
    fitted = calibration.fit(booster.raw(data.calibration.matrix), data.calibration.label(EVENT))
    return _side(data, Head(EVENT, 1.0, booster, fitted), "xgboost")


def _constant(data: Dataset) -> Side:
    return _side(data, Head(EVENT, 1.0, fit_constant(data.train, EVENT), Identity()), "constant")


def _side(data: Dataset, head: Head, kind: str) -> Side:
    bundle = Bundle.build(
        kind=kind,
        features=data.features,
        heads=(head,),
        lake_version=1,
        reference={},
        rows=data.test.matrix[:2],
    )
    return Side(bundle, bundle.probabilities(data.test.matrix))


def _shuffled(data: Dataset, config: RankerConfig) -> str:
    """What the first look says of a model trained on labels that were dealt out anew."""
    rows = pl.concat(list(data.source.batches()))
    dealt = Dataset.of(rows.with_columns(pl.col(f"label_{EVENT}").shuffle(seed=3)), data.features, data.split)
    candidate, constant = _fitted(dealt, config), _constant(dealt)
    contest = Contest("first", dealt, dealt.split.test.start, dealt.test, candidate, None, constant)
    return looks.comparisons(contest, RULES)[0].outcome


if __name__ == "__main__":
    main()
