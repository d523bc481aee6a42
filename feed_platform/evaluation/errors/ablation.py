"""What each group of features brings: the ranker fitted again without it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from feed_platform.evaluation.errors.trials import Point, Trial, chosen, fit_trials, rows_up_to, users_in
from feed_platform.features.catalogue import GROUPS, Feature, catalogue
from feed_platform.feed import Feed
from feed_platform.learning.dataset import Dataset
from feed_platform.learning.ranker import RankerConfig

STUDY = "ablation"
MOST_ROWS = 300_000
ALL, AGAIN = "all features", "all features, another seed"


def feature_groups(names: Sequence[str], feed: Feed) -> dict[str, list[str]]:
    """A model's features by group, in the catalogue's order; those that the feed has no more are `other`."""
    known = {feature.name: _group(feature) for feature in catalogue(feed)}
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(known.get(name, "other"), []).append(name)
    return groups


def ablation(
    data: Dataset, events: Sequence[str], feed: Feed, config: RankerConfig, note: Callable[[str], None]
) -> list[Point]:
    """Validation log loss without each group of features, against that with all of them.

    All fits have the same rows, those of random users with 300,000 together at most. One fit with all
    features and another seed says what chance in the fitting alone changes.
    """
    train = chosen(data.train, rows_up_to(users_in(data.train), MOST_ROWS))
    judges, other = users_in(data.validation), config.model_copy(update={"seed": config.seed + 1})
    note(f"{STUDY}, {ALL}: {len(train):,} rows")
    trials = {
        ALL: fit_trials(data, train, events, feed, config, judges),
        AGAIN: fit_trials(data, train, events, feed, other, judges),
    }
    for group, names in feature_groups(data.features, feed).items():
        note(f"{STUDY}, without {group}: {len(names)} of {len(data.features)} features less")
        left = tuple(name for name in data.features if name not in names)
        if left:
            less = replace(train, features=left)
            trials[f"without {group}"] = fit_trials(data, less, events, feed, config, judges)
    return [point for event in events for point in _points(event, trials)]


def worth_of_groups(points: Sequence[Point]) -> str:
    """Which groups of features one objective's ranker misses beyond noise, in a sentence."""
    chance = max((abs(one.gap.value) for one in points if one.item == AGAIN and one.gap), default=0.0)
    clear = {
        one.item.removeprefix("without "): one.gap
        for one in points
        if one.item != AGAIN and one.gap and one.gap.is_clear and abs(one.gap.value) > chance
    }
    missed = sorted((name for name in clear if clear[name].value > 0), key=lambda name: -clear[name].value)
    better = sorted((name for name in clear if clear[name].value < 0), key=lambda name: clear[name].value)
    said = f"Missed most: {', '.join(missed)}." if missed else "No group is missed beyond noise."
    return f"{said} Better without: {', '.join(better)}." if better else said


def _group(feature: Feature) -> str:
    if feature.of in GROUPS and "_attr_" not in feature.name:
        return feature.of
    if feature.of == "request":
        return "position" if feature.name == "position" else "request"
    return "attributes"


def _points(event: str, trials: dict[str, dict[str, Trial]]) -> Iterator[Point]:
    reference = trials[ALL].get(event)
    if reference is None:
        return
    yield Point(STUDY, ALL, event, reference.rows, reference.loss)
    for name, found in trials.items():
        if name != ALL and event in found:
            one = found[event]
            yield Point(STUDY, name, event, one.rows, one.loss, ALL, one.gap(reference))
