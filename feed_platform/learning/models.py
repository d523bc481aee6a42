"""From a data set to bundles: every kind of model, calibrated, and which one is best."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from feed_platform.feed import Feed, FeedError, Objective
from feed_platform.learning import calibration
from feed_platform.learning.baselines import (
    fit_constant,
    fit_logistic,
    fit_popularity,
    fit_segment,
    log_loss,
)
from feed_platform.learning.binned import Binned
from feed_platform.learning.bundle import Bundle, Head
from feed_platform.learning.cold import with_cold
from feed_platform.learning.dataset import Dataset, Part
from feed_platform.learning.ranker import (
    RankerConfig,
    check_overfit,
    fit_ranker,
    fit_rankers,
    fit_rounds,
    obstacle,
    scoped,
)
from feed_platform.learning.scorers import Boosted, Constant, Matrix, Scorer

SELF_TEST_ROWS = 8
BASELINES = ("constant", "popularity", "segment", "logistic")
RANKER = "xgboost"

Fit = Callable[[Dataset, str, Feed], Scorer]
Tell = Callable[[str], None]
FITS: dict[str, Fit] = {
    "constant": lambda data, event, feed: fit_constant(data.train, event),
    "popularity": lambda data, event, feed: fit_popularity(data.train, event),
    "segment": lambda data, event, feed: fit_segment(data.train, event, feed.ranker.segment),
    "logistic": lambda data, event, feed: fit_logistic(data.train, data.validation, event),
}


def unheard(line: str) -> None:
    """Progress that nobody waits for."""


@dataclass(frozen=True)
class Trained:
    """What a training made: bundles by kind, the simplest first, and their validation log losses.

    `overfit` is the log loss on the small set by objective; `notes` say what couldn't be done.
    """

    bundles: dict[str, Bundle]
    losses: dict[str, float]
    overfit: dict[str, float]
    notes: tuple[str, ...]

    @property
    def best(self) -> str:
        """The kind with the lowest validation log loss, the simplest of equals."""
        return min(self.losses, key=lambda kind: self.losses[kind])

    @property
    def reason(self) -> str:
        """Why the best is the best, with every model's number."""
        others = ", ".join(f"{kind} {loss:.5f}" for kind, loss in self.losses.items() if kind != self.best)
        return f"{self.best} has the lowest validation log loss: {self.losses[self.best]:.5f} ({others})"

    def rounds(self) -> dict[str, int]:
        """Trees of the ranker by objective."""
        heads = self.bundles[RANKER].heads if RANKER in self.bundles else ()
        return {
            head.event: head.scorer.booster.num_boosted_rounds()
            for head in heads
            if isinstance(head.scorer, Boosted)
        }


def fit_all(data: Dataset, feed: Feed, config: RankerConfig, tell: Tell = unheard) -> Trained:
    """Fit baselines and ranker, calibrate them, measure them on validation; `tell` hears how far it is.

    Whether the ranker can learn a small set by heart is asked before anything long begins. The losses are
    those of models that haven't seen validation; the ranker that they speak for is then fitted once more, to
    validation too. The objectives share the budget of trees: `scoped` says how.

    An objective without enough examples of both classes gets the overall rate in every
    model; if that is so for all of them, there is no linear model and no ranker.

    Raises:
        FeedError: a part of the split is empty, the ranker can't learn a small set by heart, or `feed.toml`
            gives a direction to something that is no feature.
    """
    _check_parts(data)
    events = [objective.event for objective in feed.objectives]
    obstacles = {event: why for event in events if (why := obstacle(data.train, event))}
    able = [event for event in events if event not in obstacles]
    within = scoped(config, feed, data.features)
    overfit = {event: check_overfit(data.train, event) for event in able}
    kinds = (*FITS, RANKER) if able else BASELINES[:1]
    tell(f"fitting {', '.join(kinds)} to {len(data.train):,} rows")
    heads = {kind: _fit_heads(kind, data, feed, within, able, tell) for kind in kinds}
    losses = {kind: validation_loss(fitted, data.validation) for kind, fitted in heads.items()}
    tell("measured on validation; fitting the ranker once more, to validation's rows too")
    newer = _newer(data, feed, within)
    final = {
        kind: tuple(refitted(head, data, within, newer) for head in fitted) for kind, fitted in heads.items()
    }
    bundles = {kind: _build(kind, fitted, data, feed) for kind, fitted in final.items()}
    trained = Trained(bundles, losses, overfit, tuple(filter(None, (data.split.note, *obstacles.values()))))
    return replace(
        trained, notes=(*trained.notes, *_stopped_by_budget(trained, config.rounds, within.rounds))
    )


def _stopped_by_budget(trained: Trained, asked: int, most: int) -> Iterator[str]:
    for event, rounds in trained.rounds().items():
        if rounds == most < asked:
            yield f"The budget of trees ended the boosting for {event} after {rounds} of {asked} rounds."


def validation_loss(heads: Iterable[Head], part: Part) -> float:
    """Log loss at the positions that were shown, averaged over the objectives."""
    losses = [log_loss(part.label(head.event), part.predicted(head.probability)) for head in heads]
    return float(np.mean(losses))


def fit_head(data: Dataset, objective: Objective, feed: Feed, config: RankerConfig) -> Head:
    """The ranker of one objective as it serves: boosted until validation stops it, refitted, calibrated."""
    train = with_cold(data.train, feed, config)
    scorer = fit_ranker(train, data.validation, objective.event, config)
    head = Head(objective.event, objective.weight, scorer, calibration.Identity())
    return refitted(_calibrated(head, data.calibration), data, config, _newer(data, feed, config))


def refitted(head: Head, data: Dataset, config: RankerConfig, newer: Binned) -> Head:
    """A booster's head with as many rounds on train and validation, calibrated anew; any other as it is.

    Validation has done its work when it has set the number of rounds, and its rows are the newer ones. Where
    calibration takes place on the same rows they can't be learned too: the head stays as it is. `newer` are
    train and validation.
    """
    if not isinstance(head.scorer, Boosted) or not config.refit or data.split.is_merged:
        return head
    rounds = head.scorer.booster.num_boosted_rounds()
    scorer = fit_rounds(newer, head.event, config, rounds)
    return _calibrated(replace(head, scorer=scorer), data.calibration)


def _fit_heads(
    kind: str, data: Dataset, feed: Feed, config: RankerConfig, able: list[str], tell: Tell
) -> tuple[Head, ...]:
    tell(f"fitting {kind}")
    scorers = _fit(kind, data, feed, config, able)
    heads = []
    for objective in feed.objectives:
        scorer = scorers.get(objective.event) or fit_constant(data.train, objective.event)
        head = Head(objective.event, objective.weight, scorer, calibration.Identity())
        heads.append(_calibrated(head, data.calibration))
    return tuple(heads)


def _build(kind: str, heads: tuple[Head, ...], data: Dataset, feed: Feed) -> Bundle:
    return Bundle.build(
        kind=kind,
        features=data.features,
        heads=heads,
        lake_version=data.lake_version,
        reference=_reference(data.train, feed),
        rows=_self_test_rows(data.validation),
    )


def _fit(
    kind: str, data: Dataset, feed: Feed, config: RankerConfig, events: list[str]
) -> Mapping[str, Scorer]:
    if kind == RANKER:
        return fit_rankers(with_cold(data.train, feed, config), data.validation, events, config)
    return {event: FITS[kind](data, event, feed) for event in events}


def _newer(data: Dataset, feed: Feed, config: RankerConfig) -> Binned:
    """What the second fit learns."""
    return Binned(tuple(with_cold(part, feed, config) for part in data.before_calibration))


def _calibrated(head: Head, part: Part) -> Head:
    if isinstance(head.scorer, Constant):
        return head
    return replace(head, calibration=calibration.fit(part.predicted(head.scorer.raw), part.label(head.event)))


def _reference(train: Part, feed: Feed) -> dict[str, float]:
    events = [objective.event for objective in feed.objectives]
    rates = {f"{event}_rate": train.positives(event) / len(train) for event in events}
    return {"rows": float(len(train)), **rates}


def _self_test_rows(part: Part) -> Matrix:
    """Rows spread over time, and one of which nothing is known."""
    chosen = np.linspace(0, len(part) - 1, min(SELF_TEST_ROWS, len(part))).astype(int)
    unknown = np.full((1, len(part.features)), np.nan, dtype=np.float32)
    return np.concatenate([part.take(chosen), unknown])


def _check_parts(data: Dataset) -> None:
    for name, part in data.parts().items():
        if not len(part):
            raise FeedError(
                f"the {name} part of the training table has no rows: import a log without such a gap in time"
            )
