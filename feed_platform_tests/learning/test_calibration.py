"""Calibration mends probabilities, keeps the order, and does little where little is known."""

import numpy as np

from feed_platform.learning import calibration
from feed_platform.learning.calibration import Identity, Isotonic, Platt, fit, fit_isotonic, fit_platt


def overconfident(rows: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Raw scores, labels and the true probabilities behind them: raw log odds are twice the true ones."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-1.5, 1.0, rows)
    truth = calibration.sigmoid(odds)
    return calibration.sigmoid(2 * odds), (rng.random(rows) < truth).astype(int), truth


def test_both_kinds_find_the_true_probabilities() -> None:
    raw, label, truth = overconfident(50_000)
    for kind in (fit_platt(raw, label), fit_isotonic(raw, label)):
        assert np.abs(kind.apply(raw) - truth).mean() < 0.01 < np.abs(raw - truth).mean()


def test_the_order_survives() -> None:
    raw, label, _ = overconfident(5_000)
    grid = np.linspace(0.001, 0.999, 2_000)
    assert (np.diff(fit_platt(raw, label).apply(grid)) > 0).all()
    assert (np.diff(fit_isotonic(raw, label).apply(grid)) >= 0).all()
    assert len(np.unique(fit_isotonic(raw, label).apply(raw))) > 0.9 * len(np.unique(raw))


def test_few_positives_move_little() -> None:
    raw = np.full(50, 0.04)
    label = np.zeros(50, dtype=int)
    label[:4] = 1
    assert 0.04 < fit_platt(raw, label).apply(raw)[0] < 0.08


def test_the_kind_follows_the_positives_and_what_they_show() -> None:
    raw, label, _ = overconfident(20_000)
    assert isinstance(fit(raw, label), Platt)
    assert isinstance(fit(raw[:500], label[:500]), Platt)
    stepped = (np.random.default_rng(4).random(len(raw)) < np.where(raw > 0.1, 0.6, 0.2)).astype(int)
    assert isinstance(fit(raw, stepped), Isotonic)
    assert isinstance(fit(raw, np.zeros_like(label)), Identity)
    assert isinstance(fit(raw, np.ones_like(label)), Identity)


def test_extreme_scores_stay_probabilities() -> None:
    raw = np.array([0.0, 0.5, 1.0] * 400)
    label = np.array([0, 1, 1] * 400)
    for kind in (fit_platt(raw, label), fit_isotonic(raw, label), Identity()):
        read = calibration.from_json(kind.as_json())
        assert read == kind
        assert ((read.apply(raw) > 0) & (read.apply(raw) < 1)).all()
