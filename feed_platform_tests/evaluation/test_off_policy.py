"""What one policy's log says about another: estimators, intervals, verdicts, and the public figure."""

import numpy as np
import pytest
from scipy.stats import binom

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.off_policy.answer import Answer, answer, unanswered
from feed_platform.evaluation.off_policy.diagnostics import calibrate, diagnose
from feed_platform.evaluation.off_policy.estimators import (
    DIRECT,
    DOUBLY_ROBUST,
    IPS,
    SNIPS,
    Logged,
    Modelled,
    clipping,
    estimates,
    observed_value,
)
from feed_platform.evaluation.off_policy.open_bandit import RANDOM, THOMPSON, cross, statement
from feed_platform.evaluation.off_policy.verdict import Subject
from feed_platform.evaluation.off_policy.weights import cascade, independent, plackett_luce

SUBJECT = Subject("the new ranker", "clicks", "requests")
LOG, TARGET = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])


def two_places(rows: int = 40_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slates of two of three posts by `LOG`, their rewards, and the reward of every slate.

    The second place earns by what stands above it.
    """
    rng = np.random.default_rng(3)
    order = np.argsort(rng.standard_exponential((rows, 3)) / LOG, axis=1)[:, :2]
    first, second = np.array([0.1, 0.2, 0.3]), np.array([[0, 0.3, 0.1], [0.05, 0, 0.2], [0.4, 0.1, 0]])
    chance = np.column_stack([first[order[:, 0]], second[order[:, 0], order[:, 1]]])
    return order, (rng.random(chance.shape) < chance).astype(float), first[:, None] + second


def chances(policy: np.ndarray, order: np.ndarray) -> np.ndarray:
    rest = np.array([3 - a - b for a, b in order.tolist()])
    return plackett_luce(policy[np.column_stack([order, rest])], 2)


def true_value(policy: np.ndarray, reward: np.ndarray) -> float:
    """The mean over every slate of two, by its probability."""
    slates = np.array([(a, b) for a in range(3) for b in range(3) if a != b])
    return float(chances(policy, slates).prod(axis=1) @ reward[slates[:, 0], slates[:, 1]])


def logged(modelled: bool = False) -> tuple[Logged, float]:
    order, reward, truth = two_places()
    weight, above = cascade(chances(TARGET, order), chances(LOG, order))
    model = None
    if modelled:  # right about the first place, and far off about the second
        known = np.array([0.1, 0.2, 0.3])
        shown = np.column_stack([known[order[:, 0]], np.full(len(order), 0.6)])
        chosen = np.column_stack([np.full(len(order), known @ TARGET), np.full(len(order), 0.6)])
        model = Modelled(shown, chosen, chosen)
    return Logged(reward, weight, above, np.arange(len(order)), model), true_value(TARGET, truth)


def test_slates_are_valued_with_what_stands_above_each_place() -> None:
    seen, truth = logged()
    found = estimates(seen)
    assert found[IPS].low < truth < found[IPS].high
    assert found[SNIPS].low < truth < found[SNIPS].high
    assert found[IPS].high - found[IPS].low < 0.03
    order, reward, _ = two_places()
    alone, above = independent(chances(TARGET, order), chances(LOG, order))
    wrong = estimates(Logged(reward, alone, above, seen.unit))[IPS]
    assert not wrong.low < truth < wrong.high, "by place alone, the post above would be the log's"


def test_doubly_robust_survives_a_wrong_model_and_the_direct_method_does_not() -> None:
    seen, truth = logged(modelled=True)
    found = estimates(seen)
    assert found[DOUBLY_ROBUST].low < truth < found[DOUBLY_ROBUST].high
    assert found[DIRECT].low > truth


def test_with_the_logs_own_policy_every_estimate_is_what_was_seen() -> None:
    order, reward, _ = two_places(500)
    own = chances(LOG, order)
    seen = Logged(reward, *cascade(own, own), np.arange(len(order)))
    found = estimates(seen)
    assert found[IPS] == observed_value(seen)
    assert found[SNIPS].value == pytest.approx(reward.sum(axis=1).mean())


def test_equal_weights_give_intervals_that_cover_rare_clicks() -> None:
    rows, alike = 1_000, np.ones((1_000, 1))
    covered = {}
    for clicks in range(60):
        reward = (np.arange(rows) < clicks).astype(float)[:, None]
        found = observed_value(Logged(reward, alike, alike, np.arange(rows)))
        covered[clicks] = found.low, found.high
    for rate in (0.005, 0.01, 0.02):
        hit = [clicks for clicks, (low, high) in covered.items() if low <= rate <= high]
        assert 0.90 < binom.pmf(hit, rows, rate).sum() < 0.98


def test_rewards_that_could_have_come_at_great_weight_count_though_none_did() -> None:
    weight = np.repeat([0.1, 20.0], [9_500, 500])[:, None]
    reward = np.zeros_like(weight)
    reward[:9_500:50] = 1.0
    found = estimates(Logged(reward, weight, np.ones_like(weight), np.arange(10_000)))[IPS]
    assert found.value == pytest.approx(0.0019)
    assert found.high > 0.004, "500 rows of weight 20 may well hide a click or two"


def test_a_log_that_never_shows_what_the_target_would_is_refused_and_so_are_false_propensities() -> None:
    order, reward, _ = two_places(4_000)
    first = (order[:, :1] != 2) * TARGET[order[:, :1]] / LOG[order[:, :1]]
    lacking = Logged(reward[:, :1], first, np.ones_like(first), np.arange(len(order)))
    assert "absent from the log" in said(answer(SUBJECT, lacking), "refused")
    doubled = TARGET[order[:, :1]] / LOG[order[:, :1]] * 1.5
    declared = Logged(reward[:, :1], doubled, np.ones_like(doubled), np.arange(len(order)))
    assert "and are 1.48" in said(answer(SUBJECT, declared), "refused")


def test_declared_propensities_are_checked_against_the_number_of_choices() -> None:
    order, _, _ = two_places(20_000)
    choices = np.tile([3.0, 2.0], (len(order), 1))
    assert abs(calibrate(chances(LOG, order), choices).deviation) < 4
    assert abs(calibrate(np.minimum(chances(LOG, order) * 1.2, 1), choices).deviation) > 4


def test_clipping_says_what_it_costs() -> None:
    seen, _ = logged(modelled=True)
    few = Logged(seen.reward[:16], seen.weight[:16] * 2, seen.above[:16], seen.unit[:16])
    cost = clipping(few)
    assert cost.threshold == 4
    assert 0 < cost.cut < 1
    assert np.isnan(cost.expected)
    assert clipping(seen).cut == 0


def test_verdicts_are_sentences() -> None:
    seen, _ = logged()
    assert "it is better (difference +" in said(answer(SUBJECT, seen), "available")
    rare = Logged(seen.reward * (np.arange(40_000) < 60)[:, None], seen.weight, seen.above, seen.unit)
    assert "proves nothing" in said(answer(SUBJECT, rare), "inconclusive")
    why = unanswered(SUBJECT, "the log keeps no candidates")
    assert said(why, "not available").endswith("can't be told: the log keeps no candidates.")


def test_open_bandit_gives_the_public_figure_and_refuses_what_it_cannot_know() -> None:
    forth = cross("all", RANDOM, THOMPSON)
    assert forth.answer.worth is not None
    assert round(forth.answer.worth.estimates[IPS].value, 6) == 0.004553
    assert forth.really == Measure(0.0042, forth.really.low, forth.really.high, 10_000)
    assert "count like 5 of equal weight" in said(forth.answer, "inconclusive")
    back = cross("women", THOMPSON, RANDOM)
    assert "count like 2 of its own" in said(back.answer, "refused")
    assert "largest weight is 21,739" in back.answer.verdict.sentence
    assert "stays unseen more often than one time in five" in statement("all")


def said(found: Answer, word: str) -> str:
    assert found.verdict.word == word, found.verdict.sentence
    return found.verdict.sentence


def test_the_weakest_place_decides() -> None:
    seen, _ = logged()
    assert diagnose(seen).effective_sample == pytest.approx(diagnose(seen.first(2)).effective_sample)
    assert diagnose(seen.first(1)).effective_sample > diagnose(seen).effective_sample
