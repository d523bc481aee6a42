"""The search: today's settings first, the test set out of reach, luck not taken for a gain."""

from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest
import yaml

from feed_platform.features.catalogue import feature_names
from feed_platform.feed import FeedError
from feed_platform.lake import Lake
from feed_platform.learning import registry
from feed_platform.learning.assets import TrainingConfig
from feed_platform.learning.dataset import Part, load_dataset
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.search import Found, Limits, Trial, reality_check, search
from feed_platform.learning.searching import best_path, search_home
from feed_platform.learning.tracking import EXPERIMENT, Launch
from feed_platform.settings import Settings
from feed_platform_tests.learning.synthetic import FEED, fill_lake, synthetic_frame

FEATURES = feature_names(FEED)
BASE = RankerConfig(rounds=6, learning_rate=0.02)
THREE = Limits(trials=3)


@pytest.fixture(scope="module")
def parts() -> tuple[Part, Part]:
    frame = synthetic_frame(3_000)
    return Part.of(frame.head(2_000), FEATURES), Part.of(frame.tail(1_000), FEATURES)


def results(found: Found) -> list[tuple[RankerConfig, float]]:
    return [(trial.config, trial.loss) for trial in found.trials]


def test_todays_settings_come_first_and_the_best_is_the_lowest(parts: tuple[Part, Part]) -> None:
    found = search(*parts, FEED, BASE, Limits(trials=10))
    assert found.trials[0].config == BASE
    assert len({trial.config.learning_rate for trial in found.trials}) == 10
    assert found.best.loss == min(trial.loss for trial in found.trials) < found.trials[0].loss
    assert {trial.config.rounds for trial in found.trials} == {6}
    assert (
        found.chance < 0.05 and "beyond noise" in found.lines()[2]
    )  # 15 trees of 0.02 can't have been enough
    assert sum(found.importance.values()) == pytest.approx(1.0)
    assert max(found.importance, key=lambda name: found.importance[name]) == "learning_rate"


def test_an_interrupt_keeps_what_was_found(parts: tuple[Part, Part]) -> None:
    def interrupt(trial: Trial) -> None:
        if trial.number == 1:
            raise KeyboardInterrupt

    found = search(*parts, FEED, BASE, THREE, interrupt)
    assert results(found) == results(search(*parts, FEED, BASE, Limits(trials=2)))
    assert found.notes == ("Interrupted after 2 of 3 trials.",)


def test_after_its_minutes_no_trial_begins(parts: tuple[Part, Part]) -> None:
    assert len(search(*parts, FEED, BASE, Limits(trials=3, minutes=1e-9)).trials) == 1


def test_what_cannot_be_searched_is_refused(parts: tuple[Part, Part]) -> None:
    train, validation = parts
    nothing = Part.of(validation.frame.with_columns(label_click=pl.lit(0)), FEATURES)
    with pytest.raises(FeedError, match="0 of 1000 validation rows have a click"):
        search(train, nothing, FEED, BASE, THREE)
    with pytest.raises(FeedError, match="depth = 12 is outside of what is searched, 2 to 8"):
        search(*parts, FEED, BASE.model_copy(update={"depth": 12}), THREE)


def test_the_best_of_many_that_are_no_better_is_seldom_taken_for_a_gain() -> None:
    rng, rows = np.random.default_rng(5), np.full(300, 10.0)
    luck = [reality_check(rng.normal(0, 1, (20, 300)), rows) for _ in range(40)]
    assert np.mean([chance <= 0.05 for chance in luck]) <= 0.125
    assert reality_check(rng.normal(0, 1, (20, 300)) + 0.4, rows) < 0.01


def poisoned(frame: pl.DataFrame, after: pl.Expr) -> pl.DataFrame:
    """The rows after validation with turned labels and features that give them away."""
    turned = (1 - pl.col("label_click")).cast(pl.Int32)
    columns = [
        pl.when(after).then(turned * 9).otherwise(name).cast(pl.Float32).alias(name) for name in FEATURES
    ]
    return frame.with_columns(*columns, label_click=pl.when(after).then(turned).otherwise("label_click"))


def test_calibration_and_test_rows_change_nothing(home: Settings) -> None:
    frame = synthetic_frame(3_000)
    fill_lake(home, frame)
    split = load_dataset(Lake.of(home), FEED).split
    first = search_home(home, FEED, BASE, THREE, Launch("one", "search"), lambda line: None)
    after = poisoned(frame, pl.col("shown_at") >= split.validation.end)
    with Lake.of(home).write("poison") as con:
        con.execute("delete from training.examples")
        con.register("poisoned", after.drop("truth").to_arrow())
        con.execute("insert into training.examples by name from poisoned")
    again = search_home(home, FEED, BASE, THREE, Launch("two", "search"), lambda line: None)
    assert results(first) == results(again)
    assert (first.best.user_losses == again.best.user_losses).all()


def test_every_trial_is_tracked_and_a_training_takes_the_best(home: Settings) -> None:
    fill_lake(home, synthetic_frame(3_000))
    heard: list[str] = []
    found = search_home(home, FEED, BASE, THREE, Launch("run-1", "search"), heard.append)
    assert [line.split(":")[0] for line in heard] == ["trial 0", "trial 1", "trial 2"]
    tracking = registry.client(home)
    runs = tracking.search_runs([tracking.get_experiment_by_name(EXPERIMENT).experiment_id])
    (whole,) = [run for run in runs if run.data.tags["search"] == "whole"]
    trials = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == whole.info.run_id]
    losses = {run.data.metrics["validation_log_loss"] for run in trials}
    assert losses == {trial.loss for trial in found.trials} and len(runs) == 4
    assert {"plots", "best.yaml"} <= {file.path for file in tracking.list_artifacts(whole.info.run_id)}
    assert registry.versions(home) == []
    assert trained_with(best_path(home)) == found.best.config


def trained_with(path: Path) -> RankerConfig:
    """The settings that the model's asset gets from a launchpad's file."""
    got: list[RankerConfig] = []

    @dg.asset(key=["training", "model"])
    def model(config: TrainingConfig) -> None:
        got.append(RankerConfig(**config.model_dump()))

    dg.materialize([model], run_config=yaml.safe_load(path.read_text()))
    return got[0]
