"""Which rows and columns are compared."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from feed_platform.lake import Lake
from feed_platform.learning.scorers import Logistic
from feed_platform.learning.splits import Window
from feed_platform.monitoring.columns import MOST_FEATURES, Sides, add_scores, feature_columns
from feed_platform.monitoring.labels import compare_labels
from feed_platform.monitoring.thresholds import daily_thresholds
from feed_platform.monitoring.windows import DAY, recent_features, reference_features
from feed_platform.settings import Settings
from feed_platform_tests.monitoring.lakes import (
    FEED,
    TODAY,
    add_examples,
    add_impressions,
    add_requests,
    reference,
)

NOTHING = Sides(pl.DataFrame(), pl.DataFrame())


def test_both_sides_have_the_model_s_features_and_codes(home: Settings) -> None:
    add_examples(home)
    add_impressions(home, 400)
    with Lake.of(home).read() as con:
        fitted, note = reference_features(con, FEED, reference())
        recent = recent_features(con, FEED, Window(TODAY, TODAY + DAY))
        assert recent.equals(recent_features(con, FEED, Window(TODAY, TODAY + DAY)))
    assert recent.columns == fitted.drop("day").columns == list(reference().bundle.features)
    assert note is None and fitted["day"].min() == date(2026, 1, 8)
    assert len(recent) == 400
    countries = [set(side["user_attr_country"].fill_nan(None).drop_nulls()) for side in (fitted, recent)]
    assert countries[0] == countries[1] and len(countries[0]) == 3
    assert (recent["post_age_hours"] - recent["post_age_hours"].round()).abs().max() == 0


def test_the_weightiest_features_come_first_and_silent_ones_are_named() -> None:
    champion = reference()
    names = champion.bundle.features
    rows = pl.DataFrame({name: np.ones(3, dtype=np.float32) for name in names})
    silent = rows.with_columns(post_age_hours=pl.lit(None, pl.Float32))
    weights = tuple(float(place) for place in range(len(names)))
    linear = Logistic(weights, 0.0, (0.0,) * len(names), (1.0,) * len(names))
    heads = (replace(champion.bundle.heads[0], scorer=linear),)
    sides = feature_columns(replace(champion.bundle, heads=heads), silent, rows)
    assert sides.current.columns[0] == "user_attr_country"
    assert len(sides.current.columns) == MOST_FEATURES
    assert not {"hour_of_day", "day_of_week", "post_age_hours"} & set(sides.current.columns)
    assert "post_age_hours" in sides.notes[-1]


@pytest.mark.parametrize(
    ("earlier", "recent", "current", "before"), [(0, 40, 0, 0), (0, 60, 600, 3), (220, 230, 2_300, 2_200)]
)
def test_scores_are_compared_with_earlier_ones_or_the_training_s(
    home: Settings, earlier: int, recent: int, current: int, before: int
) -> None:
    add_requests(home, days_ago=2, requests=earlier)
    add_requests(home, days_ago=1, requests=recent)
    fitted = pl.DataFrame({name: np.zeros(3, dtype=np.float32) for name in reference().bundle.features})
    with Lake.of(home).read() as con:
        sides = add_scores(con, NOTHING, reference(), fitted)
    assert (len(sides.current), len(sides.reference)) == (current, before)
    assert before != 3 or sides.reference["score"].to_list() == [0.2] * 3


def test_scores_of_other_models_and_tiers_are_left_out(home: Settings) -> None:
    add_requests(home, days_ago=1, requests=100)
    with Lake.of(home).write("other tiers") as con:
        con.execute("update serving.requests set served_by = 'popularity'")
    with Lake.of(home).read() as con:
        sides = add_scores(con, NOTHING, reference(), pl.DataFrame())
    assert sides.current.is_empty() and "0 are logged" in sides.notes[0]


def test_a_changed_click_rate_is_drift(home: Settings) -> None:
    add_examples(home, rows=6_000)
    lake = Lake.of(home)
    with lake.read() as con:
        steady, notes = compare_labels(con, FEED, reference())
    assert [found.is_drifted for found in steady] == [False] and notes == []
    with lake.write("fewer clicks") as con:
        con.execute(
            "update training.examples set label_click = 0 where shown_at >= ? and user_id > 'u15'",
            [TODAY - 6 * DAY],
        )
        fewer, _ = compare_labels(con, FEED, reference())
    assert fewer[0].is_drifted and fewer[0].value > 0.3


def test_labels_that_have_not_matured_are_said_to_be_missing(home: Settings) -> None:
    add_examples(home)
    with Lake.of(home).read() as con:
        late = replace(reference(), window=Window(TODAY - DAY, TODAY))
        assert compare_labels(con, FEED, late) == (
            [],
            ["Labels are not compared: none has matured since the training."],
        )


def test_a_reference_of_the_first_week_comes_with_a_caution(home: Settings) -> None:
    add_examples(home)
    week = replace(reference(), window=Window(TODAY - 30 * DAY, TODAY - 25 * DAY))
    with Lake.of(home).read() as con:
        fitted, note = reference_features(con, FEED, week)
    assert fitted["day"].min() == FEED.start and "first week" in note


def test_a_column_that_varies_from_day_to_day_has_a_higher_threshold() -> None:
    rng = np.random.default_rng(3)
    day = np.repeat(np.arange(8), 500)
    rows = pl.DataFrame(
        {
            "steady": rng.normal(size=4_000),
            "moody": rng.normal(size=4_000) + rng.normal(size=8)[day],
            "code": rng.integers(0, 4, 4_000).astype(float),
            "odd_code": rng.integers(0, 4, 4_000) + (day == 7) * 4.0,
            "missing": np.where(day == 0, np.nan, rng.normal(size=4_000)),
        }
    )
    days = pl.Series([FEED.start + timedelta(days=int(one)) for one in day])
    found = daily_thresholds(rows, days, {"code", "odd_code"})
    assert found["steady"] < 0.2 and found["missing"] < 0.2
    assert found["moody"] > 0.5
    assert found["code"] == 0.1 and found["odd_code"] > 0.5
