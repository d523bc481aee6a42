"""What the gate must see: labels without meaning, leaks, slices that lose, probabilities that lie."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.off_policy.publish import COLUMNS, TABLE
from feed_platform.features.differences import Differences
from feed_platform.feed import Budgets, FeedError, SliceFloor
from feed_platform.lake import Lake
from feed_platform.learning.dataset import Part
from feed_platform.learning.models import fit_all
from feed_platform.learning.ranker import RankerConfig
from feed_platform.promotion import cost, log_value, looks
from feed_platform.promotion.finding import Finding, verdict_of
from feed_platform.promotion.log_value import Told
from feed_platform.settings import Settings
from feed_platform_tests.learning.synthetic import FEED, synthetic_frame
from feed_platform_tests.promotion.contests import (
    RULES,
    between,
    contest,
    dataset,
    shuffled,
    trained,
    with_answers,
)
from feed_platform_tests.serving import samples

ART = SliceFloor(name="art lovers", where="topic = 'art'")


def named(findings: list[Finding]) -> dict[str, Finding]:
    return {found.name: found for found in findings}


def test_a_better_model_passes_as_a_change_and_a_worse_one_fails() -> None:
    better = named(looks.comparisons(contest("xgboost", "popularity"), RULES))
    worse = named(looks.comparisons(contest("popularity", "xgboost"), RULES))
    assert (better["claim"].outcome, worse["claim"].outcome) == ("pass", "fail")
    assert better["claim"].gap and worse["claim"].gap
    assert better["claim"].gap.value < 0 < worse["claim"].gap.value


def test_the_same_model_passes_as_a_refresh_and_never_as_a_change() -> None:
    same = {claim: contest("xgboost", "xgboost", claim) for claim in ("refresh", "change")}
    found = {claim: named(looks.comparisons(one, RULES))["claim"].outcome for claim, one in same.items()}
    assert found == {"refresh": "pass", "change": "fail"}


def test_labels_without_meaning_are_refused() -> None:
    data = dataset(shuffled(synthetic_frame(4_000)))
    bundles = fit_all(data, FEED, RankerConfig(rounds=20)).bundles
    for kind in ("xgboost", "logistic", "constant"):
        (found,) = looks.comparisons(between(data, bundles, kind, None), RULES)
        assert found.name == "beats the constant" and found.outcome == "fail", found.sentence


def test_a_leaked_feature_is_named() -> None:
    made = contest("xgboost", None)
    assert looks.single_features(made, RULES).outcome == "pass"
    noise = pl.Series(np.random.default_rng(1).random(len(made.test)))
    leaky = made.test.frame.with_columns(user_clicks_24h=pl.col("label_click") + noise * 1.2)
    found = looks.single_features(replace(made, test=Part.of(leaky, made.test.features)), RULES)
    assert found.outcome == "fail" and list(found.numbers) == ["user_clicks_24h"]
    assert "user_clicks_24h" in found.sentence


def test_a_feature_that_is_there_only_after_the_click_is_named() -> None:
    made = contest("xgboost", None)
    only = pl.when(pl.col("label_click") == 1).then(pl.col("user_clicks_24h"))
    leaky = Part.of(made.test.frame.with_columns(user_clicks_24h=only), made.test.features)
    assert list(looks.single_features(replace(made, test=leaky), RULES).numbers) == ["user_clicks_24h"]


def test_stored_features_that_differ_from_the_raw_rows_fail_and_are_named() -> None:
    found = looks.leakage(Differences(200, 9_000, 3, {"post_clicks_24h": 3}, ()))
    assert found.outcome == "fail" and "post_clicks_24h" in found.sentence
    assert looks.leakage(Differences(0, 0, 0, {}, ())).outcome == "not available"


def test_better_overall_but_worse_on_a_declared_slice_is_refused_by_name() -> None:
    made = contest("popularity", "popularity")
    truth, art = made.test.frame["truth"].to_numpy(), (made.test.frame["topic"] == "art").to_numpy()
    uneven = with_answers(made, np.where(art, 0.4 * truth.mean(), truth))
    found = named(looks.comparisons(uneven, RULES.model_copy(update={"slices": (ART,)})))
    assert found["claim"].outcome == "pass" and found["slice art lovers"].outcome == "fail"
    assert verdict_of(found.values()) == "fail" and "art lovers" in found["slice art lovers"].sentence
    even = named(looks.comparisons(with_answers(made, truth), RULES.model_copy(update={"slices": (ART,)})))
    assert even["slice art lovers"].outcome == "pass"


@pytest.mark.parametrize("where", ["topic = ", "no_such_column > 1", "position + 1", "count(*) > 0"])
def test_a_slice_that_is_no_condition_is_an_error_with_its_name(where: str) -> None:
    rules = RULES.model_copy(update={"slices": (SliceFloor(name="broken", where=where),)})
    with pytest.raises(FeedError, match=r"promotion\.slices 'broken'"):
        looks.comparisons(contest("xgboost", "logistic"), rules)


def test_probabilities_twice_too_high_fail_unless_the_champion_s_are_worse() -> None:
    made = contest("xgboost", None)
    doubled = np.clip(2 * made.candidate.probabilities["click"], 0, 0.99)
    (fine,), (off,) = (list(looks.calibration(one, RULES)) for one in (made, with_answers(made, doubled)))
    assert (fine.outcome, off.outcome) == ("pass", "fail")
    tripled = replace(made.candidate, probabilities={"click": np.clip(3 * doubled, 0, 0.99)})
    (milder,) = looks.calibration(replace(with_answers(made, doubled), champion=tripled), RULES)
    assert milder.outcome == "pass"


def test_true_probabilities_have_the_error_that_chance_gives() -> None:
    rng = np.random.default_rng(2)
    truth = rng.beta(2, 20, 20_000)
    found = [looks.expected_error((rng.random(20_000) < truth).astype(np.int64), truth) for _ in range(30)]
    errors, chances = np.mean(found, axis=0)
    assert errors == pytest.approx(chances, rel=0.15)


def test_data_that_cannot_judge_say_why() -> None:
    made = contest("xgboost", None)
    assert looks.data(made).outcome == "pass"
    few = replace(made, test=Part.of(made.test.frame.head(60), made.test.features))
    assert looks.data(few).outcome == "inconclusive" and "are needed" in looks.data(few).sentence
    twice = replace(made, test=Part.of(pl.concat([made.test.frame] * 2), made.test.features))
    assert looks.data(twice).outcome == "fail" and "stand there twice" in looks.data(twice).sentence
    mute = made.test.frame.with_columns(post_ctr_28d=pl.lit(None, pl.Float32))
    silent = looks.data(replace(made, test=Part.of(mute, made.test.features)))
    assert silent.outcome == "fail" and "post_ctr_28d" in silent.sentence


def test_a_bundle_s_cost_is_measured_in_a_process_and_held_to_its_budget(home: Settings) -> None:
    found = cost.measure(trained()[1]["xgboost"], home)
    assert not found.served and "no snapshot" in cost.within(found, Budgets())[0].sentence
    assert 0 < found.p50_ms <= found.p95_ms and 0 < found.memory_mb < 500 and 1 < found.trees <= 40
    tight = Budgets(latency_ms=found.p95_ms / 2, trees=1)
    outcomes = {one.name: one.outcome for one in cost.within(found, tight)}
    assert outcomes == {"latency": "fail", "memory": "pass", "trees": "fail"}


def test_where_there_is_a_snapshot_requests_are_answered_as_by_a_replica(home: Settings) -> None:
    samples.fill(home)
    found = cost.measure(samples.make_bundle(3), home, ["u1", "u2"])
    assert found.served and 0 < found.p50_ms <= found.p95_ms
    assert "on the home's online snapshot" in cost.within(found, Budgets())[0].sentence
    lacking = trained()[1]["constant"]
    other = replace(lacking, features=("no_such_feature",), rows=lacking.rows[:, :1])
    unfit = type(other).build(
        **{
            name: getattr(other, name)
            for name in ("kind", "features", "heads", "lake_version", "reference", "rows")
        }
    )
    with pytest.raises(FeedError, match="lacks the model's feature no_such_feature"):
        cost.measure(unfit, home)


def told(target: str, gain: tuple[float, float, float], verdict: str = "available") -> Told:
    return Told(f"xgboost, {target}", verdict, "said.", Measure(1.0, 0.9, 1.1, 900), Measure(*gain, 900))


def test_a_model_that_would_have_earned_less_fails_and_one_that_nobody_can_value_is_let_by() -> None:
    worse, unsure, fine = (-0.5, -0.7, -0.2), (-0.2, -0.5, 0.1), (-0.05, -0.5, 0.4)
    for gain, outcome in ((worse, "fail"), (unsure, "inconclusive"), (fine, "pass")):
        assert log_value.look([told("exploring", gain)], [], RULES).outcome == outcome
    alike = [told("exploring", worse)]
    assert log_value.look(alike, alike, RULES).outcome == "pass", "exploring costs the champion as much"
    assert log_value.look(alike, [told("exploring less", worse)], RULES).outcome == "fail"
    few = log_value.look([told("exploring", worse, "inconclusive")], [], RULES)
    assert few.outcome == "not available" and "nor against it" in few.sentence
    assert verdict_of([few]) == "pass"


def test_the_greediest_policy_that_the_log_can_value_counts(home: Settings) -> None:
    numbers = ((told("all but greedy", (9, 9, 9), "refused")), told("exploring less", (0.1, 0, 0.2)))
    columns = "model_version, target, verdict, sentence, metric, value, low, high, n"
    with Lake.of(home).write("answers") as con:
        con.execute(f"create table {TABLE} ({COLUMNS})")
        for one in (told("exploring", (-0.9, -0.9, -0.9)), *numbers):
            for metric in ("observed", "gain"):
                measure = getattr(one, metric)
                row = ["5", one.target, one.verdict, "said.", metric, *vars(measure).values()]
                con.execute(f"insert into {TABLE} ({columns}) values (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    with Lake.of(home).read() as con:
        found = log_value.told(con, "5")
    assert [one.target.partition(", ")[2] for one in found] == [
        "all but greedy",
        "exploring less",
        "exploring",
    ]
    assert "exploring less" in log_value.look(found, [], RULES).sentence
