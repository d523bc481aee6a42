"""Whether more data is worth it: the ranker fitted to growing samples of the users."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from feed_platform.evaluation.errors.trials import (
    Point,
    Trial,
    chosen,
    fit_trials,
    share_of_users,
    users_in,
)
from feed_platform.feed import Feed
from feed_platform.learning.dataset import Dataset
from feed_platform.learning.ranker import RankerConfig

STUDY = "learning curve"
SHARES = {"1/8": 1 / 8, "1/4": 1 / 4, "1/2": 1 / 2, "all": 1.0}


def learning_curve(
    data: Dataset, events: Sequence[str], feed: Feed, config: RankerConfig, note: Callable[[str], None]
) -> list[Point]:
    """Validation log loss by share of the training users, each point against the one before it.

    The samples are nested. Features count everyone's events at each point: what grows are the rows to learn
    from. An objective has no point where a sample has too few of either class.
    """
    learners, judges = users_in(data.train), users_in(data.validation)
    trials: dict[str, dict[str, Trial]] = {}
    for name, share in SHARES.items():
        train = chosen(data.train, share_of_users(learners, share))
        note(f"{STUDY}, {name} of the users: {len(train):,} rows")
        trials[name] = fit_trials(data, train, events, feed, config, judges)
    return [point for event in events for point in _points(event, trials)]


def worth_of_data(points: Sequence[Point]) -> str:
    """What the last doubling of the users brought for one objective, in a sentence that respects noise."""
    last = points[-1] if points else None
    if last is None or last.item != "all" or last.gap is None or last.against != "1/2":
        return "Too few examples for a learning curve: more data is what this objective needs first."
    gap = last.gap
    change = f"{gap.value:+.5f} (95 % interval {gap.low:+.5f} to {gap.high:+.5f})"
    if not gap.is_clear:
        return (
            f"Not shown: with twice the users the log loss changed by {change}, which is within noise. "
            f"The last doubling brought {max(-gap.low, 0):.5f} at most."
        )
    if gap.value > 0:
        return f"No: with twice the users the log loss rose, by {change}: more such users don't help."
    return (
        f"Yes: with twice the users the log loss changed by {change}. A further doubling mostly brings less "
        "than the last one did."
    )


def _points(event: str, trials: dict[str, dict[str, Trial]]) -> Iterator[Point]:
    known = {name: found[event] for name, found in trials.items() if event in found}
    for first, one in list(known.items())[:1]:
        yield Point(STUDY, first, event, one.rows, one.loss)
    for (before, less), (name, one) in pairwise(known.items()):
        yield Point(STUDY, name, event, one.rows, one.loss, before, one.gap(less))
