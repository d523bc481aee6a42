"""A simulated log's rankings, read back from the lake, as other policies see them."""

from dataclasses import replace
from datetime import date, datetime

import numpy as np
import polars as pl
import pytest

from feed_platform.evaluation.off_policy.answer import answer
from feed_platform.evaluation.off_policy.estimators import IPS, estimates, observed_value
from feed_platform.evaluation.off_policy.evaluate import OffPolicy
from feed_platform.evaluation.off_policy.own_policies import own_policies
from feed_platform.evaluation.off_policy.policy import Scores, answerable, replay, score
from feed_platform.evaluation.off_policy.publish import save_answers
from feed_platform.evaluation.off_policy.slates import Slates, read_slates
from feed_platform.evaluation.off_policy.verdict import Subject
from feed_platform.evaluation.pages import fill
from feed_platform.features.catalogue import feature_names
from feed_platform.feed import Feed, SimulatorSource
from feed_platform.home import prepare_home
from feed_platform.interactions.ingest import ingest
from feed_platform.interactions.simulator import (
    SIMULATOR_ATTRIBUTES,
    simulate_day,
    simulated_slates,
    store_slates,
)
from feed_platform.lake import Lake
from feed_platform.learning.bundle import Bundle, Head
from feed_platform.learning.calibration import from_json
from feed_platform.learning.registry import ModelVersion
from feed_platform.learning.scorers import Logistic
from feed_platform.settings import Settings

START, NEXT = datetime(2026, 3, 2), datetime(2026, 3, 3)
PLACES, CANDIDATES = 3, 8
SOURCE = SimulatorSource(
    days=1, users=100, requests_per_day=400, positions=PLACES, candidates=CANDIDATES, policy="softmax"
)
FEED = Feed(start=date(2026, 3, 2), clock="log", sources=(SOURCE,), attributes=SIMULATOR_ATTRIBUTES)
CLICKS = """
select impression_id, cast(bool_or(coalesce(event_type = 'click', false)) as double) as reward
from raw.impressions left join raw.engagements using (impression_id) group by all
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    prepare_home(settings)
    found = Lake.of(settings)
    batch = simulate_day(SOURCE, FEED.start, 0)
    ingest(found, FEED, [batch], mode="history", source="simulator", imported_at=NEXT)
    with found.write("slates") as con:
        store_slates(con, simulated_slates(SOURCE, FEED.start, 0), NEXT)
    return found


@pytest.fixture(scope="module")
def slates(lake: Lake) -> Slates:
    found = slates_of(lake)
    assert found is not None
    return found


def slates_of(lake: Lake, without: str = "") -> Slates | None:
    with lake.read() as con:
        rewards = con.execute(CLICKS).pl().filter(pl.col("impression_id") != without)
        return read_slates(con, FEED, rewards, (START, NEXT), 10_000)


def logs_own(slates: Slates, lake: Lake) -> Scores:
    """The scores whose softmax is the log's policy: the logarithms of what it kept."""
    with lake.read() as con:
        kept = con.execute(
            "select request_id, post_id, score from serving.candidates left join raw.impressions "
            "using (request_id, post_id) order by request_id, position nulls last, post_id"
        ).pl()
    nothing = np.zeros(slates.is_candidate.shape)
    return Scores(slates.spread(np.log(kept["score"].to_numpy()), -np.inf), (nothing,) * PLACES)


def test_by_the_logs_own_policy_every_weight_is_1(slates: Slates, lake: Lake) -> None:
    seen = replay(slates, logs_own(slates, lake), 1.0)
    assert seen.weight.shape == (400, PLACES)
    assert np.allclose(seen.weight, 1, atol=1e-6)
    assert estimates(seen)[IPS].value == pytest.approx(observed_value(seen).value)


def test_a_request_counts_only_if_all_of_its_posts_have_a_reward(slates: Slates, lake: Lake) -> None:
    with lake.read() as con:
        row = con.execute("select min(impression_id) from raw.impressions").fetchone()
    fewer = slates_of(lake, without=row[0] if row else "")
    assert fewer is not None
    assert len(fewer) == len(slates) - 1


def test_a_model_scores_posts_that_were_not_shown_and_its_promise_is_corrected(slates: Slates) -> None:
    bundle = younger_first()
    scores = score(bundle, slates)
    assert np.isfinite(scores.rank).all()
    age = slates.spread(slates.features[:, slates.names.index("post_age_hours")].astype(float), np.nan)
    assert (np.argmax(scores.rank, axis=1) == np.argmin(age, axis=1)).all()
    assert (scores.reward[1] < scores.reward[0]).all(), "further down is looked at less"
    uniform = replay(slates, scores, 1e6)
    found = estimates(uniform)
    assert found["direct method"].value == pytest.approx(sum(part.mean() for part in scores.reward), rel=0.02)
    assert found["doubly robust"].low < found[IPS].value < found["doubly robust"].high


def test_places_that_the_log_cannot_answer_for_are_cut(slates: Slates) -> None:
    seen = replay(slates, score(younger_first(), slates), 1e6)
    blind = replace(seen, weight=np.ones_like(seen.weight) * [1, 1, 0])
    assert answerable(blind, 100).reward.shape[1] == 2
    assert answerable(blind, 1_000_000).reward.shape[1] == 1


def test_policies_that_shared_a_surface_are_compared_with_what_they_could_show(lake: Lake) -> None:
    with lake.write("examples of two policies") as con:
        con.execute(
            f"create table training.examples as select impression_id, reward as label_click from ({CLICKS})"
        )
        con.execute("update raw.impressions set policy = 'other' where position = 2")
    with lake.read() as con:
        told = own_policies(con, "click")
    assert len(told) == 1
    assert told[0].startswith("home: other ")
    assert "With 400 impressions of each" in told[0]


def test_the_answers_stand_on_the_page_and_in_the_lake(lake: Lake, slates: Slates) -> None:
    subject = Subject("the same, bolder", "clicks", "requests", " in places 1 to 3")
    found = answer(subject, replay(slates, logs_own(slates, lake), 1.1))
    assert found.worth is not None and found.verdict.word == "available"
    page = fill("off_policy.html", off_policy=OffPolicy([found], ["home: softmax earned 40"]))
    for number in (found.worth.observed, found.worth.gain, *found.worth.estimates.values()):
        assert f"{1_000 * number.value:,.2f} (" in page
    assert f"{found.worth.weights.effective_sample:,.0f}" in page and "home: softmax earned 40" in page
    version = ModelVersion("3", "run", "logistic", "bundle", "bundles")
    assert save_answers(lake, version, [found]) == save_answers(lake, version, [found])
    with lake.read() as con:
        saved = dict(con.execute("select metric, value from training.off_policy").fetchall())
    assert saved["doubly_robust"] == found.worth.estimates["doubly robust"].value
    assert saved["effective_rewards"] == found.worth.weights.effective_rewards


def younger_first() -> Bundle:
    """A model that likes young posts at high places."""
    names = feature_names(FEED)
    weights = tuple({"post_age_hours": -1.0, "position": -0.5}.get(name, 0.0) for name in names)
    zeros, ones = (0.0,) * len(names), (1.0,) * len(names)
    head = Head("click", 1.0, Logistic(weights, -1.0, zeros, ones), from_json({"kind": "identity"}))
    rows = np.ones((1, len(names)), dtype=np.float32)
    return Bundle.build(
        kind="logistic", features=names, heads=(head,), lake_version=1, reference={}, rows=rows
    )
