"""The models that a ranker must beat: the event's rate, the post's rate, a linear model."""

import numpy as np

from feed_platform.features.catalogue import longest_window
from feed_platform.features.project import measure_of
from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Labels, Part
from feed_platform.learning.scorers import (
    Constant,
    Logistic,
    Matrix,
    Popularity,
    Scorer,
    Segment,
    signed_log,
    standardise,
)

STRENGTH = 20.0
PENALTIES = (1e-4, 1e-2)
MOST_ROWS = 300_000


def fit_constant(train: Part, event: str) -> Constant:
    """The event's rate, with half a positive and half a negative added so that it is never 0 or 1."""
    return Constant((train.positives(event) + 0.5) / (len(train) + 1))


def fit_popularity(train: Part, event: str) -> Scorer:
    """The post's rate over the longest window, drawn to the overall rate as by 20 impressions.

    Events that posts have no counter for get the overall rate.
    """
    counter, window = measure_of(event), longest_window("post")
    overall = fit_constant(train, event)
    if counter is None:
        return overall
    columns = [train.features.index(f"post_{name}_{window}") for name in (counter, "impressions")]
    return Popularity(columns[0], columns[1], overall.rate, STRENGTH)


def fit_segment(train: Part, event: str, group: str) -> Scorer:
    """An entity group's rate over its longest window, drawn to the post's as by 20 impressions.

    With `user_topic` that is the user's rate in the post's topic. Events without a counter get the overall
    rate.
    """
    post, counter = fit_popularity(train, event), measure_of(event)
    if not isinstance(post, Popularity):
        return post
    window = longest_window(group)
    columns = [train.features.index(f"{group}_{name}_{window}") for name in (counter, "impressions")]
    return Segment(columns[0], columns[1], STRENGTH, post)


def fit_logistic(train: Part, validation: Part, event: str) -> Logistic:
    """Logistic regression on standardised signed logs, its penalty chosen by validation log loss.

    Fitted, moments too, to at most 300,000 rows, spread evenly over the training rows in order of time.
    """
    rows = np.linspace(0, len(train) - 1, min(MOST_ROWS, len(train))).astype(np.int64)
    matrix, label = train.take(rows), train.label(event)[rows]
    mean, scale = _moments(matrix)
    inputs = standardise(matrix, mean, scale)
    fitted = [_fit_logistic(inputs, label, mean, scale, penalty) for penalty in PENALTIES]
    truth = validation.label(event)
    losses = [log_loss(truth, validation.predicted(model.raw)) for model in fitted]
    return fitted[int(np.argmin(losses))]


def log_loss(label: Labels | Vector, probability: Vector) -> float:
    """Mean negative log likelihood, probabilities kept off 0 and 1.

    Example:
        >>> round(log_loss(np.array([1, 0]), np.array([0.5, 0.2])), 4)  # -(ln 0.5 + ln 0.8) / 2
        0.4581
    """
    return float(np.mean(row_losses(label, probability)))


def row_losses(label: Labels | Vector, probability: Vector) -> Vector:
    """Each row's negative log likelihood, (n,); its mean is the log loss.

    Example:
        >>> row_losses(np.array([1, 0]), np.array([0.5, 0.2])).round(4).tolist()  # -ln 0.5, -ln 0.8
        [0.6931, 0.2231]
    """
    inside = np.clip(probability, 1e-12, 1 - 1e-12)
    return -np.where(label == 1, np.log(inside), np.log1p(-inside))


def _fit_logistic(inputs: Vector, label: Labels, mean: Vector, scale: Vector, penalty: float) -> Logistic:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=penalty, solver="newton-cholesky", max_iter=50).fit(inputs, label)
    return Logistic(
        tuple(map(float, model.coef_[0])),
        float(model.intercept_[0]),
        tuple(map(float, mean)),
        tuple(map(float, scale)),
    )


def _moments(matrix: Matrix) -> tuple[Vector, Vector]:
    """Mean and spread of each column's signed logs; a column without values or spread gets 0 and 1."""
    logs = signed_log(matrix)
    present = ~np.isnan(logs)
    count = np.maximum(present.sum(axis=0), 1)
    mean = np.nansum(logs, axis=0) / count
    spread = np.sqrt(np.nansum((logs - mean) ** 2, axis=0) / count)
    return mean, np.where(spread > 1e-9, spread, 1.0)
