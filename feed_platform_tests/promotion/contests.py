"""Contests on a synthetic log whose truth is known."""

from dataclasses import replace
from datetime import timedelta
from functools import cache

import numpy as np
import polars as pl

from feed_platform.features.catalogue import feature_names
from feed_platform.feed import Promotion
from feed_platform.learning.bundle import Bundle
from feed_platform.learning.dataset import Dataset
from feed_platform.learning.models import fit_all
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.splits import split_by_time
from feed_platform.promotion.contest import Contest, Side
from feed_platform_tests.learning.synthetic import FEED, synthetic_frame

RULES = Promotion(slices=())


def dataset(frame: pl.DataFrame) -> Dataset:
    """The frame split in time."""
    gap = timedelta(seconds=FEED.label_window_seconds)
    split = split_by_time(frame["shown_at"][0], frame["shown_at"][-1], gap)
    return Dataset.of(frame, feature_names(FEED), split)


def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows, their clicks dealt out anew."""
    return frame.with_columns(pl.col("label_click").shuffle(seed=5))


@cache
def trained() -> tuple[Dataset, dict[str, Bundle]]:
    """Every kind of model on 9,000 rows."""
    data = dataset(synthetic_frame(9_000))
    return data, fit_all(data, FEED, RankerConfig(rounds=40)).bundles


def contest(candidate: str, champion: str | None, claim: str = "change") -> Contest:
    """Two kinds of the same training on its test rows."""
    data, bundles = trained()
    return between(data, bundles, candidate, champion, claim)


def between(
    data: Dataset, bundles: dict[str, Bundle], candidate: str, champion: str | None, claim: str = "change"
) -> Contest:
    """Two kinds of a training on its test rows."""
    sides = {kind: Side.of(bundle, data.test.frame) for kind, bundle in bundles.items()}
    return Contest(
        claim=claim,  # type: ignore[arg-type]
        data=data,
        start=data.split.test.start,
        test=data.test,
        candidate=sides[candidate],
        champion=sides[champion] if champion else None,
        constant=sides["constant"],
    )


def with_answers(made: Contest, probability: np.ndarray) -> Contest:
    """The contest, its candidate answering otherwise."""
    return replace(made, candidate=replace(made.candidate, probabilities={"click": probability}))
