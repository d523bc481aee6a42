"""Error analysis finds what was planted, names it, and finds nothing where nothing is."""

import numpy as np
import polars as pl
import pytest

from feed_platform.evaluation.errors.bins import Binned, bin_all
from feed_platform.evaluation.errors.categories import categories, sentence
from feed_platform.evaluation.errors.consistency import consistency, fingerprints
from feed_platform.evaluation.errors.mistakes import contributions, mistakes
from feed_platform.evaluation.errors.recalibration import log_odds
from feed_platform.evaluation.errors.rows import Rows
from feed_platform.evaluation.errors.slice_search import Search, search_slices
from feed_platform.learning.calibration import Vector, sigmoid
from feed_platform.learning.dataset import users_of
from feed_platform.learning.scorers import Boosted, Logistic
from feed_platform_tests.learning.synthetic import FEED, synthetic_frame

NAMES = ("post_age_hours", "hour_of_day", "user_clicks_7d", "post_ctr_7d", "user_hours_since_click")


def rows_of(frame: pl.DataFrame, probability: Vector, *, knows_truth: bool = False) -> Rows:
    matrix = frame.select(pl.col(NAMES).cast(pl.Float32)).to_numpy()
    label = frame["label_click"].to_numpy().astype(np.int64)
    truth = frame["truth"].to_numpy() if knows_truth else None
    return Rows("click", frame, matrix, NAMES, label, probability, users_of(frame), truth)


@pytest.mark.parametrize("knows_truth", [True, False])
def test_the_tag_on_which_a_model_is_wrong_is_first_on_the_list(knows_truth: bool) -> None:
    frame = synthetic_frame(12_000).with_columns(post_age_hours=pl.int_range(12_000) % 96.0)
    is_new = (frame["post_age_hours"] < 24).to_numpy()
    wrong = sigmoid(log_odds(frame["truth"].to_numpy()) + 1.5 * is_new)
    found = categories(rows_of(frame, wrong, knows_truth=knows_truth))
    first = found.next[0]
    assert first.tag.name.startswith("new post")
    assert first.is_miscalibrated and "probabilities are off" in sentence(first, found.reference)
    if knows_truth:
        assert first.share.value == pytest.approx(1) and first.density.value == pytest.approx(
            1 / first.common
        )
        assert first.saved.value == pytest.approx(first.gain.value, rel=0.15)
    assert all(other.gain.value < first.gain.value / 2 for other in found.next[1:])


def test_a_model_that_knows_the_truth_has_nothing_to_gain_from_it() -> None:
    frame = synthetic_frame(4_000)
    found = categories(rows_of(frame, frame["truth"].to_numpy(), knows_truth=True))
    assert all(one.gain.value == 0 and not one.stands_out for one in found.found)


def world(seed: int, shift: float, rows: int = 20_000) -> tuple[Search, np.ndarray, list[Binned]]:
    """A search on predictions that are true but on posts under 12 hours old in the evening."""
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "post_age_hours": rng.gamma(1.0, 20, rows),
            "hour_of_day": rng.integers(0, 24, rows).astype(float),
            "topic": rng.choice(["art", "news", "sport"], rows),
            **{f"user_count_{n}d": rng.gamma(1.0, 20, rows) for n in range(8)},
            **{
                f"post_{n}": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)) for n in range(4)
            },
        }
    )
    odds = -2 + 0.03 * (frame["user_count_1d"].to_numpy() - 20) + rng.normal(0, 0.4, rows)
    bad = ((frame["post_age_hours"] < 12) & (frame["hour_of_day"] >= 18)).to_numpy()
    label = (rng.random(rows) < sigmoid(odds + shift * bad)).astype(np.int64)
    names = {name: name.replace("_", " ") for name in frame.columns if name != "topic"}
    features = bin_all(frame, names, (), ("topic",))
    return search_slices(label, sigmoid(odds), rng.integers(0, 600, rows), features), bad, features


def test_without_a_bad_slice_hardly_any_is_confirmed() -> None:
    searches = [world(seed, shift=0)[0] for seed in range(12)]
    assert all(one.looked_at > 10_000 for one in searches)
    assert sum(bool(one.confirmed) for one in searches) <= 2


def test_a_planted_pair_is_found_and_named_in_words_and_sql() -> None:
    named = 0
    for seed in range(6):
        search, bad, _ = world(seed, shift=1.4)
        worst = search.confirmed[0]
        named += worst.where.count(" and ") >= 1 and "hour of day" in worst.words
        assert "post age hours below" in worst.words and "post_age_hours < " in worst.where
        assert worst.observed > worst.predicted and worst.saved.low > 0
        assert worst.rows < 2 * bad.sum()
        assert len(search.confirmed) <= 2
    assert named == 6


def test_rows_of_equal_rounded_features_are_twins_and_bound_the_loss() -> None:
    frame = synthetic_frame(4_000)
    pairs = frame.with_columns(pl.col(name).gather(pl.int_range(4_000) // 2) for name in NAMES)
    coin = np.random.default_rng(1).integers(0, 2, 4_000)
    rows = rows_of(pairs.with_columns(label_click=pl.Series(coin)), np.full(4_000, 0.4))
    nudged = rows.matrix * np.float32(1 + 1e-6)
    assert (fingerprints(rows.matrix)[::2] == fingerprints(rows.matrix)[1::2]).all()
    assert (fingerprints(nudged) == fingerprints(rows.matrix)).mean() > 0.9
    same_features, same_hour = consistency(rows)
    assert same_features.rows == 4_000 and same_features.irreducible and same_features.model
    assert same_features.irreducible.low < 0.25 < same_features.irreducible.high
    assert same_features.model.value == pytest.approx(0.26, abs=0.01)
    assert same_hour.rows == 0 or same_hour.rows < 50


def test_the_surest_mistakes_name_what_made_the_model_sure() -> None:
    import xgboost

    frame = synthetic_frame(2_000)
    rows = rows_of(frame, frame["truth"].to_numpy())
    data = xgboost.DMatrix(rows.matrix, rows.label, feature_names=list(NAMES))
    model = xgboost.train({"objective": "binary:logistic", "max_depth": 3}, data, 10)
    found = mistakes(rows, Boosted(bytes(model.save_raw("ubj"))))
    assert found.false_positives[0].probability == rows.probability[rows.label == 0].max()
    assert found.false_negatives[0].probability == rows.probability[rows.label == 1].min()
    assert found.false_positives[0].contributions[0].feature in NAMES
    assert len({one.post_key for one in found.false_negatives}) == len(found.false_negatives)
    line = Logistic((1.0, 0.0), 0.0, (0.0, 0.0), (1.0, 1.0))
    (only,) = contributions(line, np.array([[np.e - 1, 5.0]], dtype=np.float32), ("a", "b"))
    assert [(one.feature, round(one.adds, 4)) for one in only] == [("a", 1.0)]


def test_missing_values_carry_no_tag() -> None:
    frame = synthetic_frame(500, feed=FEED).with_columns(user_hours_since_impression=pl.lit(float("nan")))
    found = categories(rows_of(frame, np.full(500, 0.2)))
    assert not any("back after" in one.tag.name for one in found.found)
