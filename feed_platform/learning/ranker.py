"""The ranker: one XGBoost model per objective, and the check that it can learn at all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from feed_platform.feed import Feed, FeedError, nearest
from feed_platform.learning.baselines import log_loss
from feed_platform.learning.binned import THREADS, Binned
from feed_platform.learning.dataset import Labels, Part, Rows
from feed_platform.learning.scorers import Boosted, Matrix

MIN_CLASS = 10
MIN_STOPPING = 10
OVERFIT_ROWS = 200
OVERFIT_LOSS = 0.05


class RankerConfig(BaseModel):
    """How the ranker is trained."""

    rounds: int = Field(300, ge=1, description="Most trees per objective; validation may stop earlier.")
    depth: int = Field(4, ge=1, le=12, description="Depth of a tree.")
    learning_rate: float = Field(0.08, gt=0, le=1, description="Share of each tree that is added.")
    patience: int = Field(20, ge=1, description="Rounds without a better validation log loss before the end.")
    min_child_weight: float = Field(5.0, ge=0, description="Least sum of hessians in a leaf.")
    row_share: float = Field(0.8, gt=0, le=1, description="Share of rows that each tree sees.")
    column_share: float = Field(0.5, gt=0, le=1, description="Share of features that each tree sees.")
    seed: int = Field(7, ge=0, description="Same data and seed, same model, byte by byte.")
    refit: bool = Field(
        True, description="Fit once more to train and validation when the rounds are known: twice the time."
    )
    cold_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of rows that are learned once more as cold starts, post or user unknown.",
    )
    monotone: dict[str, int] = Field(
        {}, description="1 or -1 by feature, beside those of feed.toml, which go first."
    )


def scoped(config: RankerConfig, feed: Feed, features: Sequence[str]) -> RankerConfig:
    """The configuration within what `feed.toml` declares: its directions, and its budget of trees.

    Each objective may have as many trees as any other: a budget shared by need would give an objective
    another model when the one beside it changes.

    Raises:
        FeedError: a direction is declared for something that is no feature.
    """
    monotone = {**config.monotone, **feed.ranker.monotone}
    for name in monotone:
        if name not in features:
            raise FeedError(
                f"feed.toml: ranker.monotone: {name!r} is no feature{nearest(name, features)} "
                "(feed features lists them)"
            )
    rounds = min(config.rounds, feed.promotion.budgets.trees // len(feed.objectives))
    return config.model_copy(update={"rounds": rounds, "monotone": dict(sorted(monotone.items()))})


def obstacle(train: Part, event: str) -> str | None:
    """Why the event can't be learned from these rows; None where it can."""
    positives = train.positives(event)
    rarer = min(positives, len(train) - positives)
    if rarer >= MIN_CLASS:
        return None
    return (
        f"{positives} of {len(train)} training rows have a {event}: {MIN_CLASS} with and "
        f"{MIN_CLASS} without are needed, the overall rate stands in"
    )


def fit_rankers(
    train: Rows, validation: Part, events: Sequence[str], config: RankerConfig
) -> dict[str, Boosted]:
    """A booster for each event, all fitted to the same quantiles of the same rows."""
    binned = Binned((train,))
    stopping = Binned((validation,), binned)
    return {event: fit_binned(binned, stopping, validation, event, config) for event in events}


def fit_ranker(train: Rows, validation: Part, event: str, config: RankerConfig) -> Boosted:
    """Boost until the validation log loss stops falling and keep the best round.

    With fewer than 10 of either class in validation there is nothing to stop by: then a
    tenth of the rounds are run.
    """
    return fit_rankers(train, validation, [event], config)[event]


def fit_binned(
    binned: Binned, stopping: Binned, validation: Part, event: str, config: RankerConfig
) -> Boosted:
    """`fit_ranker` on rows that are binned already; `stopping` are validation's."""
    import xgboost

    data = binned.labelled(event)
    positives = validation.positives(event)
    if min(positives, len(validation) - positives) < MIN_STOPPING:
        booster = xgboost.train(parameters(config), data, max(1, config.rounds // 10), verbose_eval=False)
    else:
        booster = xgboost.train(
            parameters(config),
            data,
            config.rounds,
            evals=[(stopping.labelled(event), "validation")],
            early_stopping_rounds=config.patience,
            verbose_eval=False,
        )
        booster = booster[: booster.best_iteration + 1]
    return Boosted(bytes(booster.save_raw("ubj")))


def fit_rounds(rows: Binned, event: str, config: RankerConfig, rounds: int) -> Boosted:
    """Boost for a known number of rounds."""
    import xgboost

    booster = xgboost.train(parameters(config), rows.labelled(event), rounds, verbose_eval=False)
    return Boosted(bytes(booster.save_raw("ubj")))


def check_overfit(train: Part, event: str) -> float:
    """Learn a small set by heart: log loss on up to 200 rows that differ in their features.

    Raises:
        FeedError: too many rows with different labels have the same features, or the model
            can't tell them apart: features or labels are broken.
    """
    matrix, label = _small_set(train, event)
    booster = _memorise(matrix, label)
    loss = log_loss(label, Boosted(booster).raw(matrix))
    if loss > OVERFIT_LOSS:
        raise FeedError(
            f"the ranker can't learn {len(label)} training rows by heart (log loss {loss:.3f} for {event}, "
            f"{OVERFIT_LOSS} expected): look at the features in training.examples"
        )
    return loss


def importance(model: Boosted, features: tuple[str, ...]) -> dict[str, float]:
    """Each used feature's share of the total gain, greatest first."""
    gains = model.booster.get_score(importance_type="total_gain")
    scores = {name: float(np.sum(gains.get(name, 0.0))) for name in features}
    total = sum(scores.values()) or 1.0
    return {name: score / total for name, score in sorted(scores.items(), key=lambda item: -item[1]) if score}


def parameters(config: RankerConfig) -> dict[str, Any]:
    """What XGBoost is told."""
    return {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "eval_metric": "logloss",
        "max_depth": config.depth,
        "eta": config.learning_rate,
        "min_child_weight": config.min_child_weight,
        "subsample": config.row_share,
        "colsample_bytree": config.column_share,
        "seed": config.seed,
        "nthread": THREADS,
        **({"monotone_constraints": config.monotone} if config.monotone else {}),
    }


def _small_set(train: Part, event: str) -> tuple[Matrix, Labels]:
    """Up to 100 rows of each class, spread over time, one of each set of equal feature rows."""
    label = train.label(event)
    chosen = np.sort(np.concatenate([_spread(np.flatnonzero(label == value)) for value in (0, 1)]))
    matrix, label = train.take(chosen), label[chosen]
    _, first = np.unique(np.nan_to_num(matrix, nan=-np.inf), axis=0, return_index=True)
    distinct, labels = matrix[first], label[first]
    if len(first) * 2 < len(chosen) or not 0 < labels.sum() < len(labels):
        raise FeedError(
            f"only {len(first)} of {len(chosen)} training rows differ in their features: "
            "look at the features in training.examples"
        )
    return distinct, labels


def _spread(rows: Labels) -> Labels:
    keep = min(len(rows), OVERFIT_ROWS // 2)
    return rows[np.linspace(0, len(rows) - 1, keep).astype(int)]


def _memorise(matrix: Matrix, label: Labels) -> bytes:
    import xgboost

    greedy = {"objective": "binary:logistic", "eta": 0.5, "lambda": 0.0, "min_child_weight": 0.0}
    parameters = {**greedy, "max_depth": 8, "seed": 0, "nthread": THREADS}
    data = xgboost.DMatrix(matrix, label, nthread=THREADS)
    return bytes(xgboost.train(parameters, data, 100, verbose_eval=False).save_raw("ubj"))
