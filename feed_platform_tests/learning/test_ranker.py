"""The ranker: the same bytes again, and no training on features that are broken."""

import numpy as np
import polars as pl
import pytest

from feed_platform.features.catalogue import feature_names
from feed_platform.feed import Budgets, FeedError, Objective, Ranker
from feed_platform.learning.dataset import Part
from feed_platform.learning.ranker import (
    RankerConfig,
    check_overfit,
    fit_ranker,
    importance,
    obstacle,
    scoped,
)
from feed_platform_tests.learning.synthetic import FEED, synthetic_frame

FEATURES = feature_names(FEED)
CONFIG = RankerConfig(rounds=40)


def part(frame: pl.DataFrame) -> Part:
    return Part.of(frame, FEATURES)


@pytest.fixture(scope="module")
def halves() -> tuple[Part, Part]:
    frame = synthetic_frame(4_000)
    return part(frame.head(2_500)), part(frame.tail(1_500))


def test_same_data_and_seed_same_bytes(halves: tuple[Part, Part]) -> None:
    first, again = (fit_ranker(*halves, "click", CONFIG) for _ in range(2))
    other = fit_ranker(*halves, "click", CONFIG.model_copy(update={"seed": 8}))
    assert first.dumps() == again.dumps() != other.dumps()


def test_it_finds_what_matters(halves: tuple[Part, Part]) -> None:
    shares = importance(fit_ranker(*halves, "click", CONFIG), FEATURES)
    assert list(shares)[:3] == ["post_ctr_28d", "user_topic_ctr_28d", "position"]
    assert sum(shares.values()) == pytest.approx(1.0)


def test_lower_positions_are_clicked_less(halves: tuple[Part, Part]) -> None:
    model, rows = fit_ranker(*halves, "click", CONFIG), halves[1].matrix.copy()
    means = []
    for position in (1, 3, 6):
        rows[:, FEATURES.index("position")] = position
        means.append(model.raw(rows).mean())
    assert means[0] > means[1] > means[2]


def test_a_declared_direction_holds_everywhere(halves: tuple[Part, Part]) -> None:
    config = CONFIG.model_copy(update={"monotone": {"post_ctr_28d": -1}})
    model, rows = fit_ranker(*halves, "click", config), halves[1].matrix[:200].copy()
    answers = []
    for rate in (0.0, 0.1, 0.2, 0.4):
        rows[:, FEATURES.index("post_ctr_28d")] = rate
        answers.append(model.raw(rows))
    assert (np.diff(answers, axis=0) <= 0).all()


def test_feed_toml_bounds_the_configuration() -> None:
    two = (Objective(event="click"), Objective(event="like"))
    budget = FEED.promotion.model_copy(update={"budgets": Budgets(trees=61)})
    feed = FEED.model_copy(
        update={"objectives": two, "promotion": budget, "ranker": Ranker(monotone={"position": -1})}
    )
    within = scoped(CONFIG, feed, FEATURES)
    assert (within.rounds, within.monotone) == (30, {"position": -1})
    wrong = FEED.model_copy(update={"ranker": Ranker(monotone={"post_ctr_28": 1})})
    with pytest.raises(FeedError, match=r"monotone: 'post_ctr_28' is no feature, did you mean"):
        scoped(CONFIG, wrong, FEATURES)


def test_sound_features_can_be_learned_by_heart(halves: tuple[Part, Part]) -> None:
    assert check_overfit(halves[0], "click") < 0.01


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_features_that_say_nothing_are_refused(value: float) -> None:
    frame = synthetic_frame(1_000)
    broken = frame.with_columns(pl.lit(value, pl.Float32).alias(name) for name in FEATURES)
    with pytest.raises(FeedError, match="differ in their features"):
        check_overfit(part(broken), "click")


def test_a_single_class_in_validation_still_trains(halves: tuple[Part, Part]) -> None:
    without = part(halves[1].frame.filter(pl.col("label_click") == 0))
    model = fit_ranker(halves[0], without, "click", CONFIG)
    assert model.booster.num_boosted_rounds() == CONFIG.rounds // 10


def test_too_few_of_a_class_are_an_obstacle(halves: tuple[Part, Part]) -> None:
    assert obstacle(halves[0], "click") is None
    assert "0 of 2500 training rows have a like" in str(obstacle(halves[0], "like"))
