"""Metrics against hand-computed examples and scikit-learn, with ties, weights and one class."""

import doctest

import numpy as np
import pytest
from sklearn import metrics as sklearn

from feed_platform.evaluation import metrics, money, pages, proof, ranking
from feed_platform.evaluation.bootstrap import Scored, resample
from feed_platform.evaluation.metrics import (
    Curve,
    average_precision,
    best_threshold,
    calibration_bins,
    calibration_error,
    roc_auc,
)
from feed_platform.evaluation.ranking import by_request, value_ndcg
from feed_platform.learning import baselines, plots

RNG = np.random.default_rng(5)
LABEL = (RNG.random(500) < 0.2).astype(np.int64)
SCORE = np.round(np.clip(0.2 * LABEL + RNG.random(500) * 0.7, 0.01, 0.99), 2)
WEIGHT = RNG.poisson(1.0, 500).astype(float)


@pytest.mark.parametrize(
    "module", [metrics, money, pages, proof, ranking, plots, baselines], ids=lambda module: module.__name__
)
def test_the_hand_computed_examples_hold(module: object) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_curves_equal_scikit_learn_also_weighted() -> None:
    curve = Curve.of(LABEL, SCORE)
    for weight in (np.ones(500), WEIGHT):
        counts = curve.counts(weight[curve.order])
        assert roc_auc(*counts) == pytest.approx(sklearn.roc_auc_score(LABEL, SCORE, sample_weight=weight))
        assert average_precision(*counts) == pytest.approx(
            sklearn.average_precision_score(LABEL, SCORE, sample_weight=weight)
        )


def test_losses_and_judgements_equal_scikit_learn() -> None:
    user = np.arange(500)
    found = resample(Scored(LABEL, SCORE, 0.5, np.full(500, -1)), user).values
    flagged = (SCORE >= 0.5).astype(np.int64)
    assert found["log_loss"] == pytest.approx(sklearn.log_loss(LABEL, SCORE))
    for name in ("accuracy", "precision", "recall", "f1"):
        assert found[name] == pytest.approx(getattr(sklearn, f"{name}_score")(LABEL, flagged))


def test_rankings_equal_scikit_learn_and_plain_loops_by_request() -> None:
    request = np.repeat(np.arange(25), 20)
    score = RNG.permutation(500).astype(float)
    values, rows = by_request(LABEL, score, request)
    mixed = [n for n in range(25) if 0 < LABEL[request == n].sum() < 20]
    assert (request[rows] == mixed).all()
    for depth in (5, 10):
        theirs = [sklearn.ndcg_score([LABEL[request == n]], [score[request == n]], k=depth) for n in mixed]
        assert values[f"ndcg_at_{depth}"] == pytest.approx(theirs)
    tops = [list(LABEL[request == n][np.argsort(-score[request == n])]).index(1) for n in mixed]
    assert values["mrr"].tolist() == [1 / (top + 1) for top in tops]
    for depth in (1, 5, 10):
        assert values[f"hit_rate_at_{depth}"].tolist() == [float(top < depth) for top in tops]


def test_ndcg_of_values_equals_scikit_learn() -> None:
    request, score = np.repeat(np.arange(25), 20), RNG.permutation(500).astype(float)
    worth = LABEL * RNG.choice([1.0, 5.0], 500)
    values, rows = value_ndcg(worth, score, request)
    theirs = [sklearn.ndcg_score([worth[request == n]], [score[request == n]], k=5) for n in request[rows]]
    assert values["value_ndcg_at_5"] == pytest.approx(theirs)


def test_equal_scores_rank_by_chance_whatever_the_rows_order() -> None:
    request, label = np.repeat(np.arange(400), 5), np.tile([1, 0, 0, 0, 0], 400)
    first, _ = by_request(label, np.zeros(2_000), request)
    last, _ = by_request(label[::-1].copy(), np.zeros(2_000), request)
    expected = np.mean(1 / np.log2(np.arange(5) + 2))
    assert first["ndcg_at_10"].mean() == pytest.approx(expected, abs=0.04)
    assert last["ndcg_at_10"].mean() == pytest.approx(expected, abs=0.04)


def test_one_class_alone_is_undefined_not_wrong() -> None:
    none = np.zeros(10, dtype=np.int64)
    curve = Curve.of(none, SCORE[:10])
    assert np.isnan(roc_auc(*curve.counts()))
    assert np.isnan(average_precision(*curve.counts()))
    assert best_threshold(none, SCORE[:10]) == 0.5
    assert len(by_request(none, SCORE[:10], none)[1]) == 0


def test_the_best_threshold_has_the_best_f1() -> None:
    found = best_threshold(LABEL, SCORE)
    f1 = {t: sklearn.f1_score(LABEL, t <= SCORE) for t in np.unique(SCORE)}
    assert f1[found] == max(f1.values())


def test_calibration_error_of_the_truth_is_small_and_of_half_the_truth_is_not() -> None:
    truth = RNG.beta(2, 8, 40_000)
    label = (RNG.random(40_000) < truth).astype(np.int64)
    assert error_of(label, truth) < 0.01
    assert error_of(label, truth / 2) == pytest.approx(0.1, abs=0.01)
    assert len(np.unique(calibration_bins(np.full(100, 0.3)))) == 1


def error_of(label: np.ndarray, probability: np.ndarray) -> float:
    return calibration_error(np.bincount(calibration_bins(probability), probability - label), len(label))
