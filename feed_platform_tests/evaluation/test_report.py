"""From a training to its page and its numbers in the lake."""

import re

import polars as pl
import pytest

from feed_platform.evaluation.off_policy.publish import saved_verdicts
from feed_platform.evaluation.predictions import at_reference_position
from feed_platform.evaluation.publish import Published, publish_reports
from feed_platform.evaluation.report import verdict
from feed_platform.evaluation.slices import slices
from feed_platform.feed import FeedError
from feed_platform.lake import Lake
from feed_platform.learning import registry
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.tracking import Launch
from feed_platform.learning.training import train
from feed_platform.settings import Settings
from feed_platform_tests.learning.homes import NewHome
from feed_platform_tests.learning.synthetic import FEED, fill_lake, synthetic_frame


def published(home: Settings, rate: float = -1.5) -> list[Published]:
    fill_lake(home, synthetic_frame(5_000, rate=rate))
    train(home, FEED, RankerConfig(rounds=60), Launch("run-1", "train"))
    return publish_reports(home)


@pytest.fixture(scope="module")
def shared(new_home: NewHome) -> Settings:
    return new_home()


@pytest.fixture(scope="module")
def reports(shared: Settings) -> list[Published]:
    return published(shared)


def evaluations(home: Settings) -> pl.DataFrame:
    with Lake.of(home).read() as con:
        return con.sql("from training.evaluations").pl()


def test_the_page_stands_alone_and_the_numbers_are_in_the_lake_and_mlflow(
    shared: Settings, reports: list[Published]
) -> None:
    done = reports[0]
    page = done.path.read_text()
    assert verdict(done.found[0]).sentence.split(",")[0] in page
    assert not re.search(r"<script|<link|<img|\bsrc=|@import|url\((?!#)", page)
    assert page.count("<svg") == len(re.findall(r"</svg>", page)) >= 4
    numbers = evaluations(shared).filter(model_version=done.found[0].version.version, slice="all")
    assert {"constant", "popularity", "segment", "logistic", "xgboost", "bayes", "as_shown"} == set(
        numbers["model"]
    )
    assert set(numbers.filter(model="as_shown")["metric"]) > {"mrr", "ndcg_at_5", "hit_rate_at_1"}
    losses = dict(numbers.filter(metric="log_loss").select("model", "value").iter_rows())
    assert losses["bayes"] < min(losses["logistic"], losses["xgboost"]) < losses["constant"]
    assert "the log has no propensities" in page
    assert saved_verdicts(Lake.of(shared))[0].startswith("model 1, not available: What xgboost")
    logged = registry.client(shared).get_run(done.found[0].version.run_id).data.metrics
    assert logged["test_logistic_log_loss"] == losses["logistic"]


def test_evaluating_again_replaces_the_rows(shared: Settings, reports: list[Published]) -> None:
    before = evaluations(shared).drop("evaluated_at").sort(pl.all())
    publish_reports(shared)
    assert evaluations(shared).drop("evaluated_at").sort(pl.all()).equals(before)


def test_headroom_is_most_of_what_the_truth_allows(reports: list[Published]) -> None:
    found = reports[0].found[0]
    assert 0.7 < found.headroom["log_loss"].value < 1
    assert found.parts["test"][0] == found.gaps["log_loss"].n


def test_a_handful_of_positives_prove_nothing_and_the_verdict_says_so(home: Settings) -> None:
    for done in published(home, rate=-6.5):
        said = verdict(done.found[0])
        assert "too few to tell models apart" in said.sentence


def test_without_a_model_the_error_names_the_job(home: Settings) -> None:
    with pytest.raises(FeedError, match="-j train"):
        publish_reports(home)


def test_slices_cover_new_entities_bands_and_topics() -> None:
    frame = synthetic_frame(600).with_columns(
        pl.when(pl.col("position") < 2)
        .then(0.0)
        .otherwise(pl.col("user_impressions_7d"))
        .alias("user_impressions_7d")
    )
    found = slices(frame)
    assert (found["new users (not seen in 7 days)"] == found["position 1"]).all()
    assert {"topic art", "topic news", "topic sport"} <= set(found)
    assert "positions 11+" not in found


def test_ranking_is_scored_at_position_1() -> None:
    frame = synthetic_frame(5)
    features = ("position", "post_ctr_7d")
    moved = at_reference_position(frame.select(features).to_numpy(), features)
    assert moved[:, 0].tolist() == [1.0] * 5
    assert (moved[:, 1] == frame["post_ctr_7d"].to_numpy()).all()
