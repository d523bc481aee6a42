"""From a training to its page and its numbers in the lake."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feed_platform.evaluation.card import find_card
from feed_platform.evaluation.compare import compare
from feed_platform.evaluation.compare_page import compare_versions, judged
from feed_platform.evaluation.feeds import DEPTH
from feed_platform.evaluation.off_policy.publish import saved_verdicts
from feed_platform.evaluation.predictions import at_reference_position, gather
from feed_platform.evaluation.proof import proof
from feed_platform.evaluation.publish import Published, publish_reports
from feed_platform.evaluation.slices import slices
from feed_platform.evaluation.verdict import verdict
from feed_platform.feed import FeedError
from feed_platform.lake import Lake
from feed_platform.learning import registry
from feed_platform.learning.baselines import row_losses
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.record import TrainingRecord
from feed_platform.learning.tracking import Launch
from feed_platform.learning.training import train
from feed_platform.settings import Settings
from feed_platform_tests.learning.homes import NewHome
from feed_platform_tests.learning.synthetic import FEED, fill_lake, synthetic_frame

OUTSIDE = re.compile(r"<script|<link|<img|\bsrc=|@import|url\((?!#)")


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
    assert not OUTSIDE.search(page)
    assert page.count("<svg") == page.count("</svg>") == page.count('<svg role="img" aria-label="') >= 4
    assert 'aria-label="ROC: true positive rate (up) by false positive rate (across);' in page
    numbers = evaluations(shared).filter(model_version=done.found[0].version.version, slice="all")
    assert {"constant", "popularity", "segment", "logistic", "xgboost", "bayes", "as_shown"} == set(
        numbers["model"]
    )
    assert set(numbers.filter(model="as_shown")["metric"]) > {"mrr", "ndcg_at_5", "hit_rate_at_1"}
    losses = dict(numbers.filter(metric="log_loss").select("model", "value").iter_rows())
    worth = numbers.filter(model="xgboost", metric="expected_value_per_thousand")["value"].item()
    assert worth == done.business.money.expected["xgboost"].value
    assert losses["bayes"] < min(losses["logistic"], losses["xgboost"]) < losses["constant"]
    assert "the log has no propensities" in page
    assert saved_verdicts(Lake.of(shared))[0].startswith("model 1, not available: What xgboost")
    logged = registry.client(shared).get_run(done.found[0].version.run_id).data.metrics
    assert logged["test_logistic_log_loss"] == losses["logistic"]


def test_the_summary_answers_the_owner_the_engineer_and_the_auditor(reports: list[Published]) -> None:
    done, page = reports[0], reports[0].path.read_text()
    for asked in ("Is it better?", "Worth how much?", "How sure?", "What next?", "On what does this rest?"):
        assert asked in page
    assert f"lake version {done.found[0].record.lake_version}" in page
    assert done.found[0].bundle.code_version.split("+")[1] in page
    assert "four times in five" in proof(done.found[0])


def test_the_older_system_stands_beside_the_models(shared: Settings, reports: list[Published]) -> None:
    found = reports[0].found[0]
    log, ours = found.models["as_shown"], found.models["xgboost"]
    rows, clicks = found.parts["test"]
    assert (log.values["event_rate"], log.n["event_rate"]) == (clicks / rows, rows)
    rate = log.measure("event_rate")
    assert 0.5 < (rate.high - rate.low) / (2 * 1.96 * (rate.value * (1 - rate.value) / rows) ** 0.5) < 2
    assert found.over_log["mrr"].value == ours.values["mrr"] - log.values["mrr"]
    assert f"earned a click on {clicks / rows:.2%}" in reports[0].path.read_text()
    kept = evaluations(shared).filter(model="as_shown", metric="event_rate")["value"]
    assert kept.to_list() == [clicks / rows]


def test_the_feeds_of_requests_are_those_of_plain_loops(shared: Settings, reports: list[Published]) -> None:
    material = gather(shared, reports[0].found[0].version)
    feeds, frame = reports[0].business.feeds, material.data.test.frame
    assert feeds is not None
    scored = frame.with_columns(score=pl.Series(material.predictions["xgboost"].score))
    scored = scored.filter(pl.len().over("request_id") > DEPTH)
    firsts = [part.sort("score", descending=True).head(DEPTH) for part in scored.partition_by("request_id")]
    made, found = pl.concat(firsts), feeds.orders["xgboost"].values
    assert found["coverage"] == made["post_id"].n_unique() / scored["post_id"].n_unique()
    assert found["topics"] == pytest.approx(np.mean([part["topic"].n_unique() for part in firsts]))
    share = scored.group_by("post_id").len("times").with_columns(pl.col("times") / len(scored))
    rarity = made.join(share, on="post_id")["times"].log(2)
    assert found["novelty"] == pytest.approx(-rarity.mean())
    assert feeds.gaps["value_ndcg_at_5"].is_clear


def test_first_choices_are_worth_more_than_the_order_as_shown(reports: list[Published]) -> None:
    money = reports[0].business.money
    assert money.gaps["as_shown"].low > 0
    assert money.expected["xgboost"].low > money.observed.high
    assert not money.swings


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


def test_the_card_tells_use_limits_and_the_way_back(shared: Settings, reports: list[Published]) -> None:
    version = reports[0].found[0].version.version
    page = find_card(shared, version).read_text()
    for said in ("What it is for", "Limits", "feed rollback", proof(reports[0].found[0]).split(" of ")[0]):
        assert said in page
    assert not OUTSIDE.search(page)
    described = registry.client(shared).get_model_version(registry.MODEL, version).description
    assert described.startswith(verdict(reports[0].found[0]).sentence)
    with pytest.raises(FeedError, match="no model version 99"):
        find_card(shared, "99")


def test_two_versions_are_compared_on_the_same_rows(shared: Settings, reports: list[Published]) -> None:
    first = reports[0].found[0].version
    logistic = registry.load_bundle(first, reports[0].found[0].record.bundles["logistic"])
    second = registry.register(shared, first.run_id, logistic)
    found, material = compare(shared, first, second), gather(shared, first)
    label, losses = material.label("click"), {}
    for kind in ("xgboost", "logistic"):
        losses[kind] = row_losses(label, material.predictions[kind].shown["click"]).mean()
    gap = found.objectives[0].gap("log_loss")
    assert gap.value == pytest.approx(losses["xgboost"] - losses["logistic"])
    scored = material.data.test.frame.select("request_id", "impression_id").with_columns(
        pl.Series(kind, material.predictions[kind].score) for kind in losses
    )
    groups = [group for group in scored.partition_by("request_id") if len(group) > 1]
    tops = [[group["impression_id"][group[kind].arg_max()] for kind in losses] for group in groups]
    assert found.order is not None
    assert found.order.first.value == pytest.approx(np.mean([one != other for one, other in tops]))
    page = compare_versions(shared, first.version, second.version).read_text()
    assert judged(found, found.objectives[0]).split(",")[0] in page
    assert not OUTSIDE.search(page)
    same = compare(shared, first, first)
    assert "not told apart" in judged(same, same.objectives[0])
    assert same.order is not None
    assert same.order.first.value == 0
    assert same.order.alike.value == 1


@pytest.mark.slow
def test_champion_and_challenger_stand_beside_each_other_and_the_champion_before(home: Settings) -> None:
    fill_lake(home, synthetic_frame(3_000))
    first = train(home, FEED, RankerConfig(rounds=20), Launch("run-1", "train")).candidate
    record = TrainingRecord.of(registry.client(home), first.run_id)
    kind = "logistic" if first.kind == "xgboost" else "xgboost"
    second = registry.register(home, first.run_id, registry.load_bundle(first, record.bundles[kind]))
    registry.set_champion(home, second.version)
    registry.set_champion(home, first.version)
    registry.set_alias(home, "challenger", second)
    for done in publish_reports(home):
        other = {first.version: second, second.version: first}[done.found[0].version.version]
        found, name = done.found[0], f"version_{other.version}"
        assert found.models[name].values == found.models[other.kind].values
        assert done.business.money.gaps[name] == done.business.money.gaps[other.kind]
        assert done.compared is not None and done.compared.exists()
        page, role = (
            done.path.read_text(),
            {"champion": "the champion before it", "challenger": "the champion"},
        )
        assert f"Better than {role[done.alias]}?" in page
        assert f'href="{done.compared.name}"' in page
        assert f"those of version {other.version}&#39;s order" in page
        assert f"Version {other.version} is {role[done.alias]}" in page
        kept = registry.client(home).list_artifacts(found.version.run_id, "reports")
        assert {done.path.name, done.card.name, done.compared.name} <= {Path(one.path).name for one in kept}


def test_errors_have_a_section_and_rows_in_the_lake_and_name_no_user(
    shared: Settings, reports: list[Published]
) -> None:
    page = reports[0].path.read_text()
    assert 'id="errors-click"' in page and "What to work on next" in page
    assert not re.search(r">u\d{1,3}<", page)
    with Lake.of(shared).read() as con:
        gains = con.sql(
            "select count(*) from training.error_analysis where study = 'tag' and metric = 'gain'"
        )
        declared = con.sql("select slice from training.worst_slices where declared order by 1")
        assert gains.fetchall()[0][0] == len(reports[0].errors[0].categories.found)
        assert declared.fetchall() == [("new posts",), ("new users",)]
