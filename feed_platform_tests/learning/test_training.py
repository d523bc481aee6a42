"""A whole training: tracked, registered, without pickle, the better model its candidate."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feed_platform.features.catalogue import feature_names
from feed_platform.feed import Budgets, FeedError, Objective
from feed_platform.learning import registry
from feed_platform.learning.bundle import Bundle
from feed_platform.learning.models import fit_head, validation_loss
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.tracking import Launch
from feed_platform.learning.training import Outcome, train
from feed_platform.settings import Settings
from feed_platform_tests.learning.homes import NewHome
from feed_platform_tests.learning.synthetic import FEED, fill_lake, synthetic_frame

CONFIG = RankerConfig(rounds=60)


def train_in(home: Settings, rate: float = -1.5) -> Outcome:
    fill_lake(home, synthetic_frame(3_000, rate=rate))
    return train(home, FEED, CONFIG, Launch("run-1", "train"))


@pytest.fixture(scope="module")
def shared(new_home: NewHome) -> Settings:
    return new_home()


@pytest.fixture(scope="module")
def outcome(shared: Settings) -> Outcome:
    return train_in(shared)


def test_the_candidate_is_exported_as_it_was_trained(shared: Settings, outcome: Outcome) -> None:
    candidate = registry.with_alias(shared, "challenger")
    assert candidate == outcome.candidate
    assert registry.champion(shared) is None
    folder = registry.export_bundle(shared, candidate.version)
    bundle = Bundle.load(folder)
    bundle.self_test()
    trained, matrix = outcome.trained.bundles[candidate.kind], outcome.data.test.matrix
    assert (bundle.probabilities(matrix)["click"] == trained.probabilities(matrix)["click"]).all()
    assert folder == shared.models / candidate.bundle


def test_models_beat_the_rate_and_the_reason_says_by_what(outcome: Outcome) -> None:
    trained = outcome.trained
    assert set(trained.bundles) == {"constant", "popularity", "segment", "logistic", "xgboost"}
    assert trained.losses["xgboost"] < 0.8 * trained.losses["constant"]
    assert trained.best in trained.reason
    assert f"{trained.losses['constant']:.5f}" in trained.reason


def test_one_mlflow_run_per_launch_with_its_numbers(shared: Settings, outcome: Outcome) -> None:
    tracking = registry.client(shared)
    run = tracking.get_run(outcome.candidate.run_id)
    assert run.data.tags["dagster_run_id"] == "run-1"
    assert run.info.status == "FINISHED"
    assert run.data.params["lake_version"] == "1"
    assert run.data.metrics["validation_log_loss_xgboost"] == outcome.trained.losses["xgboost"]
    logged = {file.path for file in tracking.list_artifacts(run.info.run_id)}
    assert logged >= {"bundles", "plots", "features.json"}


def test_nothing_is_pickled(shared: Settings, outcome: Outcome) -> None:
    files = [path for path in (shared.root / "mlflow").rglob("*") if path.is_file()]
    assert len(files) > 8
    assert not [path for path in files if path.suffix in {".pkl", ".pickle", ".joblib", ".cloudpickle"}]
    assert not [path for path in files if _starts_as_pickle(path)]


def test_training_again_on_the_same_rows_registers_nothing_new(shared: Settings, outcome: Outcome) -> None:
    known = registry.versions(shared)
    again = train(shared, FEED, CONFIG, Launch("run-2", "train"))
    assert again.candidate == outcome.candidate
    assert registry.versions(shared) == known


def test_a_version_that_is_not_there_is_named_with_those_that_are(shared: Settings, outcome: Outcome) -> None:
    with pytest.raises(FeedError, match="no model version 99: there are 1"):
        registry.set_champion(shared, "99")
    assert registry.champion(shared) is None


def test_without_positives_the_rate_is_the_candidate(home: Settings) -> None:
    outcome = train_in(home, rate=-30.0)
    assert outcome.candidate.kind == "constant"
    assert "the overall rate stands in" in outcome.trained.notes[0]
    answer = outcome.trained.bundles["constant"].probabilities(outcome.data.test.matrix)["click"]
    assert np.isfinite(answer).all()


def test_an_objective_without_events_does_not_stop_the_others(home: Settings) -> None:
    fill_lake(home, synthetic_frame(2_000))
    both = FEED.model_copy(
        update={"objectives": (Objective(event="click"), Objective(event="like", weight=2))}
    )
    outcome = train(home, both, CONFIG, Launch("run-1", "train"))
    kinds = [head.scorer.kind for head in outcome.trained.bundles["xgboost"].heads]
    assert kinds == ["xgboost", "constant"]


def test_the_ranker_learns_validation_once_it_has_set_the_rounds(outcome: Outcome) -> None:
    data, trained = outcome.data, outcome.trained
    assert data.before_calibration == (data.train, data.validation)
    assert data.validation.frame["shown_at"].max() < data.calibration.frame["shown_at"].min()
    final = trained.bundles["xgboost"].heads[0]
    assert final.scorer.dumps() == fit_head(data, FEED.objectives[0], FEED, CONFIG).scorer.dumps()
    stopped = fit_head(data, FEED.objectives[0], FEED, CONFIG.model_copy(update={"refit": False}))
    assert trained.losses["xgboost"] == validation_loss([stopped], data.validation)
    assert trained.rounds()["click"] == stopped.scorer.booster.num_boosted_rounds()  # type: ignore[attr-defined]
    assert final.scorer.dumps() != stopped.scorer.dumps()


def test_the_budget_of_trees_is_kept_and_said(home: Settings) -> None:
    budget = FEED.promotion.model_copy(update={"budgets": Budgets(trees=5)})
    fill_lake(home, synthetic_frame(2_000))
    outcome = train(home, FEED.model_copy(update={"promotion": budget}), CONFIG, Launch("run-1", "train"))
    assert outcome.trained.rounds() == {"click": 5}
    assert "ended the boosting for click after 5 of 60 rounds" in outcome.trained.notes[-1]
    assert registry.client(home).get_run(outcome.candidate.run_id).data.params["rounds"] == "5"


def test_a_failed_training_is_marked_and_moves_no_alias(home: Settings) -> None:
    ones = [pl.lit(1.0, pl.Float32).alias(name) for name in feature_names(FEED)]
    fill_lake(home, synthetic_frame(2_000).with_columns(ones))
    with pytest.raises(FeedError, match="differ in their features"):
        train(home, FEED, CONFIG, Launch("run-1", "train"))
    assert registry.with_alias(home, "challenger") is None
    tracking = registry.client(home)
    experiment = tracking.get_experiment_by_name("feed-ranker")
    assert experiment is not None
    assert [run.info.status for run in tracking.search_runs([experiment.experiment_id])] == ["FAILED"]


def test_an_empty_home_says_what_to_do(home: Settings) -> None:
    with pytest.raises(FeedError, match="no training examples yet"):
        train(home, FEED, CONFIG, Launch("run-1", "train"))


def _starts_as_pickle(path: Path) -> bool:
    head = path.read_bytes()[:2]
    return len(head) == 2 and head[0] == 0x80 and 2 <= head[1] <= 5
