"""Learning curve and ablation say what is so, and keep what they found with the version they found it of."""

import re
from datetime import timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.errors.ablation import ALL, ablation, feature_groups, worth_of_groups
from feed_platform.evaluation.errors.diagnosis import Diagnosis, settings_of
from feed_platform.evaluation.errors.diagnosis_publish import (
    diagnosis_sections,
    publish_diagnosis,
    save_diagnosis,
    saved_diagnosis,
)
from feed_platform.evaluation.errors.learning_curve import learning_curve, worth_of_data
from feed_platform.evaluation.errors.trials import Chosen, Point, rows_up_to, share_of_users
from feed_platform.features.catalogue import feature_names
from feed_platform.lake import Lake
from feed_platform.learning import registry
from feed_platform.learning.baselines import log_loss
from feed_platform.learning.cold import with_cold
from feed_platform.learning.dataset import Dataset, Part
from feed_platform.learning.ranker import RankerConfig, fit_ranker
from feed_platform.learning.splits import split_by_time
from feed_platform.learning.tracking import Launch, tracked_run
from feed_platform.learning.training import train
from feed_platform.settings import Settings
from feed_platform_tests.learning.synthetic import FEED, fill_lake, synthetic_frame

CARRIES = ("post_ctr_28d", "user_topic_ctr_28d", "position")
CHANCE = ("author_ctr_28d", "hour_of_day")
CONFIG = RankerConfig(rounds=25, learning_rate=0.3, column_share=1, seed=3, monotone={"post_ctr_28d": 1})


@pytest.fixture(scope="module")
def data() -> Dataset:
    frame = synthetic_frame(40_000)
    split = split_by_time(frame["shown_at"][0], frame["shown_at"][-1], timedelta(days=1))
    return Dataset.of(frame, (*CARRIES, *CHANCE), split)


@pytest.fixture(scope="module")
def diagnosis(data: Dataset) -> Diagnosis:
    points = learning_curve(data, ["click"], FEED, CONFIG, lambda line: None)
    return Diagnosis.of("click", points + ablation(data, ["click"], FEED, CONFIG, lambda line: None))


def test_what_carries_the_clicks_is_missed_and_nothing_else(diagnosis: Diagnosis) -> None:
    gaps = {point.item: point.gap for point in diagnosis.ablation if point.gap}
    assert min(gaps[f"without {group}"].low for group in ("post", "user_topic", "position")) > 0
    worst = max(abs(gaps[f"without {group}"].value) for group in ("author", "request"))
    assert worst < gaps["without position"].value / 4
    said = diagnosis.sentences[1]
    assert all(group in said for group in ("position", "post", "user_topic")) and "Missed most" in said


def test_the_curve_falls_and_ends_at_the_fit_to_all_rows(data: Dataset, diagnosis: Diagnosis) -> None:
    curve = diagnosis.curve
    assert [point.item for point in curve] == ["1/8", "1/4", "1/2", "all"]
    assert curve[0].loss.value > curve[-1].loss.value
    own = fit_ranker(with_cold(data.train, FEED, CONFIG), data.validation, "click", CONFIG)
    expected = log_loss(data.validation.label("click"), own.raw(data.validation.matrix))
    assert curve[-1].loss.value == pytest.approx(expected, abs=1e-9)
    assert (curve[-1].rows, curve[-1].loss.n) == (len(data.train), len(data.validation))


def test_a_diagnosis_is_kept_and_shown_with_its_version_alone(home: Settings, diagnosis: Diagnosis) -> None:
    lake, version = Lake.of(home), registry.ModelVersion("1", "its run", "xgboost", "", "")
    assert not diagnosis_sections(lake, version)
    for _ in range(2):
        save_diagnosis(lake, version, 1, [diagnosis])
    assert saved_diagnosis(lake, version) == [diagnosis]
    (section,) = diagnosis_sections(lake, version)
    assert diagnosis.sentences[0].split(" (")[0] in section.html
    assert section.html.count("<svg") == 2 and not re.search(r">u\d{1,3}<", section.html)
    assert not diagnosis_sections(lake, registry.ModelVersion("1", "another run", "xgboost", "", ""))


def test_the_settings_are_those_of_the_version_s_run(home: Settings) -> None:
    import mlflow

    with tracked_run(home, Launch("run", "train")) as run_id:
        mlflow.log_params({**CONFIG.model_dump(), "lake_version": 3})
    assert settings_of(home, registry.ModelVersion("1", run_id, "xgboost", "", "")) == CONFIG


@pytest.mark.slow
def test_a_registered_version_is_diagnosed_and_its_page_goes_into_its_run(home: Settings) -> None:
    fill_lake(home, synthetic_frame(1_500))
    train(home, FEED, RankerConfig(rounds=5), Launch("run", "train"))
    done = publish_diagnosis(home, FEED, None, lambda line: None)
    assert len(done.found[0].curve) == 4 and len(done.found[0].ablation) == 10
    logged = registry.client(home).list_artifacts(done.version.run_id, "reports")
    assert [one.path for one in logged] == [f"reports/{done.path.name}"]


def test_samples_are_of_whole_users_and_lie_within_one_another() -> None:
    user = np.random.default_rng(1).integers(0, 64, 2_000)
    samples = [share_of_users(user, share) for share in (1 / 8, 1 / 4, 1 / 2, 1.0)]
    assert [len(set(user[keep])) for keep in samples] == [8, 16, 32, 64]
    assert all(more[less].all() for less, more in pairwise(samples))
    few = rows_up_to(user, 500)
    assert 400 < few.sum() <= 500
    assert not set(user[few]) & set(user[~few])


def test_chosen_rows_keep_their_labels_and_features() -> None:
    frame = synthetic_frame(500)
    part = Part.of(frame, ("post_ctr_28d", "position"))
    keep = np.random.default_rng(2).random(500) < 0.3
    few, expected = Part(Chosen(part.source, keep), part.features), frame.filter(pl.Series(keep))
    assert np.array_equal(few.label("click"), expected["label_click"])
    assert np.array_equal(np.concatenate(list(few.batches())), expected.select(part.features).to_numpy())


def test_every_feature_belongs_to_one_group() -> None:
    names = feature_names(FEED)
    groups = feature_groups(names, FEED)
    assert sorted(name for members in groups.values() for name in members) == sorted(names)
    assert groups["position"] == ["position"] and "other" not in groups


@pytest.mark.parametrize(
    ("gap", "answer"),
    [((-0.01, -0.02, -0.005), "Yes"), ((-0.01, -0.02, 0.001), "Not shown"), ((0.01, 0.005, 0.02), "No:")],
)
def test_more_data_is_worth_it_only_beyond_noise(gap: tuple[float, float, float], answer: str) -> None:
    loss = Measure(0.3, 0.29, 0.31, 100)
    half = Point("learning curve", "1/2", "click", 50, loss)
    whole = Point("learning curve", "all", "click", 100, loss, "1/2", Measure(*gap, 100))
    assert worth_of_data([half, whole]).startswith(answer)
    assert worth_of_data([half]).startswith("Too few")


def test_a_group_counts_only_beyond_what_another_seed_changes() -> None:
    loss, clear = Measure(0.3, 0.29, 0.31, 100), Measure(0.002, 0.001, 0.003, 100)
    seed = Point("ablation", "all features, another seed", "click", 9, loss, ALL, Measure(-0.004, -1, 1, 9))
    group = Point("ablation", "without user", "click", 9, loss, ALL, clear)
    assert worth_of_groups([group]) == "Missed most: user."
    assert worth_of_groups([group, seed]) == "No group is missed beyond noise."
