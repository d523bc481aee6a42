"""Calibration of raw scores to probabilities, kept as numbers in JSON."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

ISOTONIC_POSITIVES = 500
SURE = 2.0  # standard errors
PRECISION = 1e-6


class Calibration(Protocol):
    """Maps raw probabilities, shape (n,), to calibrated ones."""

    def apply(self, raw: Vector) -> Vector:
        """Calibrated probabilities in (0, 1), in the order of `raw`."""

    def as_json(self) -> dict[str, Any]:
        """The calibration as JSON, with its `kind`."""


@dataclass(frozen=True)
class Identity:
    """Leaves probabilities as they are."""

    def apply(self, raw: Vector) -> Vector:
        """The probabilities, kept off 0 and 1."""
        return _inside(raw)

    def as_json(self) -> dict[str, Any]:
        """Its kind alone."""
        return {"kind": "identity"}


@dataclass(frozen=True)
class Platt:
    """sigmoid(slope * logit(p) + intercept)."""

    slope: float
    intercept: float

    def apply(self, raw: Vector) -> Vector:
        """Shift and stretch in log odds."""
        return _inside(sigmoid(self.slope * logit(raw) + self.intercept))

    def as_json(self) -> dict[str, Any]:
        """Slope and intercept."""
        return {"kind": "platt", **asdict(self)}


@dataclass(frozen=True)
class Isotonic:
    """Linear interpolation between the centres of an isotonic regression's steps.

    Steps alone would give equal scores to many posts and so lose their order; through the
    centres the map rises strictly (centred isotonic regression, Oron and Flournoy 2017).
    """

    raw: tuple[float, ...]
    calibrated: tuple[float, ...]

    def apply(self, raw: Vector) -> Vector:
        """Interpolate between the knots."""
        return _inside(np.interp(raw, *self._knots))

    @cached_property
    def _knots(self) -> tuple[Vector, Vector]:
        return np.array(self.raw), np.array(self.calibrated)

    def as_json(self) -> dict[str, Any]:
        """The knots."""
        return {"kind": "isotonic", **asdict(self)}


def from_json(data: dict[str, Any]) -> Calibration:
    """The calibration that `as_json` wrote."""
    match data["kind"]:
        case "identity":
            return Identity()
        case "platt":
            return Platt(float(data["slope"]), float(data["intercept"]))
        case "isotonic":
            return Isotonic(tuple(data["raw"]), tuple(data["calibrated"]))
        case kind:
            raise ValueError(f"unknown calibration {kind!r}")


def fit(raw: Vector, label: NDArray[np.integer]) -> Calibration:
    """The calibration that the positives can carry.

    None where one class is missing, Platt up to 500 positives; with more, isotonic if its log loss on rows
    that it wasn't fitted to, each half of the rows in turn, is lower by two standard errors. Isotonic has a
    step for every few positives: where two numbers are enough to mend the scores, its noise costs more than
    its freedom gains, and a lead within noise is no sign that it isn't so.
    """
    positives = int(label.sum())
    if positives == 0 or positives == len(label):
        return Identity()
    if positives < ISOTONIC_POSITIVES:
        return fit_platt(raw, label)
    lead = _unseen_losses(fit_platt, raw, label) - _unseen_losses(fit_isotonic, raw, label)
    is_better = lead.mean() > SURE * lead.std() / np.sqrt(len(lead))
    return fit_isotonic(raw, label) if is_better else fit_platt(raw, label)


def _unseen_losses(fit_kind: Callable[..., Calibration], raw: Vector, label: NDArray[np.integer]) -> Vector:
    """Each row's log loss (n,) under the calibration of the other half; a half is every other row."""
    losses = np.empty(len(raw))
    for half in (0, 1):
        known = fit_kind(raw[1 - half :: 2], label[1 - half :: 2])
        odds = logit(known.apply(raw[half::2]))
        losses[half::2] = np.logaddexp(0.0, odds) - label[half::2] * odds
    return losses


def fit_platt(raw: Vector, label: NDArray[np.integer]) -> Platt:
    """Slope and intercept of greatest posterior probability.

    The prior (slope around 1, intercept around 0) says that the model is already calibrated:
    a handful of positives moves it little, thousands decide alone.
    """
    from scipy.optimize import minimize

    inputs = np.column_stack([logit(raw), np.ones(len(raw))])
    prior, precision = np.array([1.0, 0.0]), np.array([4.0, 0.25])

    def loss(weights: Vector) -> tuple[float, Vector]:
        odds, off = inputs @ weights, weights - prior
        value = np.sum(np.logaddexp(0.0, odds) - label * odds) + 0.5 * np.sum(precision * off**2)
        return float(value), inputs.T @ (sigmoid(odds) - label) + precision * off

    slope, intercept = minimize(loss, prior, jac=True, method="L-BFGS-B").x
    return Platt(float(slope), float(intercept))


def fit_isotonic(raw: Vector, label: NDArray[np.integer]) -> Isotonic:
    """Knots at the mean score and the smoothed rate of each step; beyond the outer ones in proportion."""
    from sklearn.isotonic import IsotonicRegression

    step = IsotonicRegression(out_of_bounds="clip").fit_transform(raw, label)
    _, block = np.unique(step, return_inverse=True)
    count = np.bincount(block)
    centre = np.bincount(block, raw) / count
    rate = (np.bincount(block, label) + label.mean()) / (count + 1)
    knots = np.maximum.accumulate(rate)
    top = min(1.0, float(knots[-1] / centre[-1]))
    return Isotonic((0.0, *map(float, centre), 1.0), (0.0, *map(float, knots), top))


def sigmoid(odds: Vector) -> Vector:
    """1 / (1 + exp(-x)) without overflow."""
    return np.exp(-np.logaddexp(0.0, -odds))


def logit(probability: Vector) -> Vector:
    """log(p / (1 - p)), with p kept off 0 and 1."""
    inside = _inside(probability)
    return np.log(inside) - np.log1p(-inside)


def _inside(probability: Vector) -> Vector:
    return np.minimum(np.maximum(probability, PRECISION), 1 - PRECISION)
