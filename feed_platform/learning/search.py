"""A search for better settings of the ranker, on train and validation alone."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, Field

from feed_platform.feed import Feed, FeedError
from feed_platform.learning.baselines import row_losses
from feed_platform.learning.binned import Binned
from feed_platform.learning.calibration import Vector
from feed_platform.learning.cold import with_cold
from feed_platform.learning.dataset import Part, Rows, users_of
from feed_platform.learning.ranker import RankerConfig, fit_binned, obstacle, scoped
from feed_platform.learning.scorers import Boosted

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

# Lowest, highest, and whether steps are even on a logarithmic scale.
RANGES: dict[str, tuple[float, float, bool]] = {
    "depth": (2, 8, False),
    "learning_rate": (0.02, 0.3, True),
    "min_child_weight": (0.5, 200.0, True),
    "row_share": (0.4, 1.0, False),
    "column_share": (0.2, 1.0, False),
}
DIGITS = 4
REPLICATES = 500
LEVEL = 0.05
IMPORTANCE_TRIALS = 10


class Limits(BaseModel):
    """When a search ends."""

    trials: int = Field(50, ge=1, description="Most settings that are tried, today's first.")
    minutes: float = Field(15.0, gt=0, description="No trial begins later; the first always does.")


@dataclass(frozen=True)
class Trial:
    """Settings and what they gave: mean log loss over the objectives on validation, trees by objective.

    `user_losses` are the rows' losses added up by user, shape (users,).
    """

    number: int
    config: RankerConfig
    loss: float
    rounds: dict[str, int]
    seconds: float
    user_losses: Vector

    @property
    def settings(self) -> dict[str, float]:
        """The values of what is searched for."""
        return {name: getattr(self.config, name) for name in RANGES}


@dataclass(frozen=True)
class Found:
    """All trials in order, the first of them today's settings; `user_rows` are rows by user, (users,).

    `importance` is each setting's share of the spread of losses (fANOVA), empty below ten trials.
    """

    trials: tuple[Trial, ...]
    user_rows: Vector
    importance: dict[str, float]
    notes: tuple[str, ...]

    @property
    def best(self) -> Trial:
        """The trial with the lowest loss, the earliest of equals."""
        return min(self.trials, key=lambda trial: trial.loss)

    @property
    def gain(self) -> float:
        """By how much the best lowers today's loss; 0 where today's is the best."""
        return self.trials[0].loss - self.best.loss

    @cached_property
    def chance(self) -> float:
        """How often the best of as many trials gains as much where none is better than today's."""
        first = self.trials[0].user_losses
        gains = np.array([first - trial.user_losses for trial in self.trials[1:]])
        return reality_check(gains, self.user_rows) if self.gain > 0 else 1.0

    def lines(self) -> list[str]:
        """What came out, for people."""
        chosen = ", ".join(f"{name} {value:g}" for name, value in self.best.settings.items())
        verdict = "beyond noise" if self.chance <= LEVEL else "not beyond noise"
        return [
            f"{len(self.trials)} trials; today's settings: validation log loss {self.trials[0].loss:.5f}",
            f"best: trial {self.best.number}, {self.best.loss:.5f}: {chosen}",
            f"gain {self.gain:.5f}, {verdict}: the best of {len(self.trials)} that are no better gains as "
            f"much with probability {self.chance:.3f}",
            *self.notes,
        ]


def search(
    train: Part,
    validation: Part,
    feed: Feed,
    base: RankerConfig,
    limits: Limits,
    heard: Callable[[Trial], None] = lambda trial: None,
) -> Found:
    """Try settings within `RANGES`, `base` first, then as a tree-structured Parzen estimator proposes.

    It has no other rows than these. `heard` gets each trial when it has ended. An interrupt ends the search
    and keeps what was found. Same rows, seed and number of trials, same result.

    Raises:
        FeedError: `base` lies outside the ranges, or no objective has enough of both classes in both parts.
    """
    _check_base(base)
    events, notes = _learnable(train, validation, feed)
    bench = _Bench(with_cold(train, feed, base), validation, feed, events)
    study, found = _study(base), list[Trial]()
    try:
        for trial in _trials(study, bench, base, limits):
            found.append(trial)
            heard(trial)
    except KeyboardInterrupt:
        if not found:
            raise
        notes = (*notes, f"Interrupted after {len(found)} of {limits.trials} trials.")
    return Found(tuple(found), bench.user_rows, _importance(study), notes)


def reality_check(gains: Vector, rows: Vector, seed: int = 7) -> float:
    """The probability that the best of several gains is as great where none of them is real.

    White's reality check (2000) with users resampled: `gains` (trials, users) are the rows' losses without
    less those with a change, added up by user; `rows` (users,) are their numbers. Users' rows go together,
    and the choice of the best is part of what is repeated.
    """
    rng, users = np.random.default_rng(seed), len(rows)
    means = gains.sum(axis=1) / rows.sum()
    best, as_great = means.max(), 0
    for _ in range(REPLICATES):
        draw = np.bincount(rng.integers(0, users, users), minlength=users)
        as_great += bool(np.max(gains @ draw / (rows @ draw) - means) >= best)
    return (1 + as_great) / (1 + REPLICATES)


class _Bench:
    """The rows, binned once for all trials."""

    def __init__(self, train: Rows, validation: Part, feed: Feed, events: Sequence[str]) -> None:
        self._validation, self._train = validation, Binned((train,))
        self._stopping = Binned((validation,), self._train)
        self._labels = {event: validation.label(event) for event in events}
        self._feed = feed
        self._user = users_of(validation.select(["user_id", "impression_id"]))
        self.user_rows = np.bincount(self._user).astype(np.float64)

    def measure(self, number: int, config: RankerConfig) -> Trial:
        """Fit each objective with these settings and ask validation."""
        began, within = time.monotonic(), scoped(config, self._feed, self._validation.features)
        models = {event: self._fit(event, within) for event in self._labels}
        losses = self._losses(models)
        rounds = {event: model.booster.num_boosted_rounds() for event, model in models.items()}
        by_user = np.bincount(self._user, losses, len(self.user_rows)).astype(np.float64)
        return Trial(number, config, float(np.mean(losses)), rounds, time.monotonic() - began, by_user)

    def _fit(self, event: str, config: RankerConfig) -> Boosted:
        return fit_binned(self._train, self._stopping, self._validation, event, config)

    def _losses(self, models: Mapping[str, Boosted]) -> Vector:
        each = [
            row_losses(self._labels[event], self._validation.predicted(model.raw))
            for event, model in models.items()
        ]
        return np.asarray(np.mean(each, axis=0))


def _trials(study: "Study", bench: _Bench, base: RankerConfig, limits: Limits) -> Iterator[Trial]:
    end, ranges = time.monotonic() + 60 * limits.minutes, _distributions()
    for number in range(limits.trials):
        if number and time.monotonic() > end:
            return
        asked = study.ask(ranges)
        trial = bench.measure(number, _configured(base, asked.params))
        study.tell(asked, trial.loss)
        yield trial


def _configured(base: RankerConfig, values: Mapping[str, Any]) -> RankerConfig:
    """The base with these values, as short as they are written down."""
    short = {name: type(value)(f"{value:.{DIGITS}g}") for name, value in values.items()}
    return base.model_copy(update=short)


def _study(base: RankerConfig) -> "Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=base.seed))
    study.enqueue_trial({name: getattr(base, name) for name in RANGES})
    return study


def _distributions() -> "dict[str, BaseDistribution]":
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        name: IntDistribution(int(low), int(high))
        if isinstance(getattr(RankerConfig(), name), int)
        else FloatDistribution(low, high, log=log)
        for name, (low, high, log) in RANGES.items()
    }


def _importance(study: "Study") -> dict[str, float]:
    from optuna.importance import get_param_importances

    losses = {trial.value for trial in study.trials if trial.value is not None}
    if len(losses) < IMPORTANCE_TRIALS:
        return {}
    return dict(get_param_importances(study))


def _learnable(train: Part, validation: Part, feed: Feed) -> tuple[list[str], tuple[str, ...]]:
    parts = {"training": train, "validation": validation}
    obstacles: dict[str, str] = {}
    for objective in feed.objectives:
        for name, part in parts.items():
            if why := obstacle(part, objective.event):
                obstacles.setdefault(objective.event, why.replace("training", name))
    events = [one.event for one in feed.objectives if one.event not in obstacles]
    if not events:
        raise FeedError(f"nothing to search for: {'; '.join(obstacles.values())}")
    return events, tuple(f"{event} is left out: {why}" for event, why in obstacles.items())


def _check_base(base: RankerConfig) -> None:
    for name, (low, high, _) in RANGES.items():
        value = getattr(base, name)
        if not low <= value <= high:
            raise FeedError(f"search: {name} = {value:g} is outside of what is searched, {low:g} to {high:g}")
