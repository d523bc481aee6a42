"""`python -m benchmarks.headroom.cold`: what learning cold starts costs known posts and gives unknown ones.

In each world the ranker is fitted with every share of cold rows and asked three times about the test rows:
as they are, as if their post were unknown, and as if their user were. An unknown post is also put into the
place of each request's posts in turn, all at position 1: its percentile is the share of the others that it
goes before, `first` how often it goes before all of them.
"""

import argparse
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.headroom.contender import CLICK, Vector, error_in_bins
from benchmarks.headroom.world import FEED, dataset
from feed_platform.feed import Objective
from feed_platform.learning.baselines import log_loss
from feed_platform.learning.bundle import Head
from feed_platform.learning.cold import Cold, Owner
from feed_platform.learning.dataset import Dataset, Part
from feed_platform.learning.models import fit_head
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.scorers import Matrix


@dataclass(frozen=True)
class Figures:
    """Of one model on the test rows: log losses by what is known, calibration errors, an unknown's rank."""

    all_rows: float
    unknown_post: float
    unknown_user: float
    error: float
    error_unknown_post: float
    percentile: float
    first: float


def main() -> None:
    """Print a line for each world and share."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.headroom.cold", description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000, help="impressions of a world")
    parser.add_argument("--densities", type=float, nargs="+", default=[60, 600], help="impressions per user")
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22])
    parser.add_argument("--shares", type=float, nargs="+", default=[0, 0.02, 0.05, 0.1])
    options = parser.parse_args()
    for density in options.densities:
        for seed in options.seeds:
            with tempfile.TemporaryDirectory(prefix="bench-cold-") as home:
                data, _ = dataset(Path(home), options.rows, density, seed)
                for share in options.shares:
                    print(line(density, seed, share, figures(data, share)), flush=True)


def line(density: float, seed: int, share: float, found: Figures) -> str:
    """A share's figures in one world."""
    numbers = "  ".join(f"{name} {value:.5f}" for name, value in asdict(found).items())
    return f"{density:4,.0f} per user, seed {seed}, share {share:.2f}:  {numbers}"


def figures(data: Dataset, share: float) -> Figures:
    """Fit the ranker with this share of cold rows and ask it about the test rows."""
    head = fit_head(data, Objective(event=CLICK), FEED, RankerConfig(cold_share=share))
    label = data.test.label(CLICK).astype(np.float64)
    known, post, user = (
        head.probability(matrix)
        for matrix in (data.test.matrix, without(data.test, "post"), without(data.test, "user"))
    )
    percentile, first = places(data.test, head)
    return Figures(
        all_rows=log_loss(label, known),
        unknown_post=log_loss(label, post),
        unknown_user=log_loss(label, user),
        error=error_in_bins(label, known),
        error_unknown_post=error_in_bins(label, post),
        percentile=percentile,
        first=first,
    )


def without(part: Part, owner: Owner) -> Matrix:
    """The part's rows as if their owner were unknown."""
    return np.concatenate([batch[1::2] for batch in Cold(part, FEED, 1.0, 0, ((owner,),)).batches()])


def places(part: Part, head: Head) -> tuple[float, float]:
    """Where an unknown post goes among a request's: mean percentile, and how often first."""
    known, unknown = (scores(part, head, matrix) for matrix in (part.matrix, without(part, "post")))
    frame = pl.DataFrame({"request": part.frame["request_id"], "known": known, "unknown": unknown})
    others = frame.with_row_index("row").join(frame, on="request")
    beaten = (
        others.group_by("row")
        .agg(
            lower=(pl.col("known_right") < pl.col("unknown")).sum()
            - (pl.col("known").first() < pl.col("unknown").first()),
            others=pl.len() - 1,
        )
        .filter(pl.col("others") > 0)
    )
    share = beaten["lower"].cast(pl.Float64) / beaten["others"]
    return float(share.to_numpy().mean()), float((share == 1).to_numpy().mean())


def scores(part: Part, head: Head, matrix: Matrix) -> Vector:
    """What the head says of rows at position 1."""
    first = matrix.copy()
    first[:, part.features.index("position")] = 1
    return np.asarray(head.probability(first), dtype=np.float64)


if __name__ == "__main__":
    main()
