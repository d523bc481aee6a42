"""Explanations add up to what they explain, in words that are true."""

from datetime import timedelta

import numpy as np
import pytest
import xgboost

from feed_platform.features.catalogue import feature_names
from feed_platform.learning.bundle import Bundle, Head
from feed_platform.learning.calibration import Identity
from feed_platform.learning.scorers import Boosted
from feed_platform.serving.ranking import Ranking, rank
from feed_platform.serving.reasons import theme_of
from feed_platform.serving.schemas import RankRequest
from feed_platform.serving.store import Loaded, Model
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

NAMES = feature_names(samples.FEED)
POSTS = [f"p{n}" for n in range(30)]


def boosted() -> Bundle:
    random = np.random.default_rng(3)
    matrix = random.random((400, len(NAMES))).astype(np.float32)
    liked = matrix[:, NAMES.index("user_topic_likes_7d")] + matrix[:, NAMES.index("post_ctr_7d")]
    rows = xgboost.DMatrix(matrix, label=liked + random.normal(0, 0.2, 400) > 1)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, rows, 20)
    head = Head("click", 1.0, Boosted(bytes(booster.save_raw("ubj"))), Identity())
    return Bundle.build(
        kind="xgboost", features=NAMES, heads=(head,), lake_version=1, reference={}, rows=matrix[:4]
    )


@pytest.fixture(scope="module", params=["xgboost", "logistic"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    snapshot = samples.open_snapshot(Settings(home=tmp_path_factory.mktemp("explained")), samples.FEED)
    bundle = boosted() if request.param == "xgboost" else samples.make_bundle(1)
    return Loaded(snapshot, Model("1", bundle).fitted_to(snapshot))


def ranked(loaded: Loaded, **fields: object) -> Ranking:
    request = RankRequest(candidate_ids=POSTS, user_id="u1", **fields)
    return rank(request, "r", samples.AS_OF + timedelta(minutes=30), loaded)


def log_odds(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def test_the_first_20_are_explained_and_reasons_add_up_to_the_margin(loaded: Loaded) -> None:
    items = ranked(loaded, explain=True).response().items
    assert [item.explanation is not None for item in items] == [True] * 20 + [False] * 9
    for item in items[:20]:
        assert item.explanation is not None
        found = item.explanation["click"]
        assert sum(one.value for one in found.reasons) == pytest.approx(found.margin, abs=1e-5)
        assert found.margin == pytest.approx(log_odds(item.probabilities["click"]), abs=1e-4)
    assert all(item.explanation is None for item in ranked(loaded).response().items)


def test_a_comparison_is_the_difference_of_two_explanations(loaded: Loaded) -> None:
    answer = ranked(loaded, explain=True, compare=["p1", "p2"]).response()
    margins = {item.post_id: log_odds(item.probabilities["click"]) for item in answer.items}
    assert answer.comparison is not None
    found = answer.comparison["click"]
    assert found.margin == pytest.approx(margins["p1"] - margins["p2"], abs=1e-4)
    assert sum(one.value for one in found.reasons) == pytest.approx(found.margin, abs=1e-5)
    assert ranked(loaded, compare=["p1", samples.REMOVED]).response().comparison is None


def test_every_feature_has_words_and_they_say_what_was_counted() -> None:
    texts = [theme_of(name).words(sign, np.array([1.0])) for name in NAMES for sign in (1.0, -1.0)]
    assert not [text for text in texts if "_" in text]
    likes, hides = theme_of("user_topic_likes_7d"), theme_of("user_topic_hides_7d")
    assert likes.words(-0.1, np.array([2.0])) == "you seldom like this topic"
    assert likes.words(0.1, np.array([0.0, np.nan])) == "you have not liked this topic lately"
    assert hides.words(0.4, np.array([1.0])) == "you seldom hide this topic"
