"""Importance weights of ranked slates: by place, or with everything above it."""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


def independent(target: Matrix, propensity: Matrix) -> tuple[Matrix, Matrix]:
    """Weights of places whose propensities are marginal: each place stands for itself.

    Args:
        target: the target's probability of this post at this place, (n, places); 0 where nothing was shown.
        propensity: the log's, (n, places); anything where nothing was shown.

    Returns:
        The weights and those of the places above, which don't matter: 1.
    """
    weight = _ratio(target, propensity)
    return weight, np.ones_like(weight)


def cascade(target: Matrix, propensity: Matrix) -> tuple[Matrix, Matrix]:
    """Weights of places whose propensities are conditional: the product from the top down.

    A place's reward may depend on what stands above it and not on what stands below: reward interaction
    (McInerney, Brost, Chandar, Mehrotra and Carterette 2020).

    Returns:
        The weights and those of the places above; both (n, places).

    Example:
        >>> cascade(np.array([[0.5, 0.2]]), np.array([[0.25, 0.4]]))
        (array([[2., 1.]]), array([[1., 2.]]))
    """
    weight: Matrix = _ratio(target, propensity).cumprod(axis=1)
    above: Matrix = np.concatenate([np.ones((len(weight), 1)), weight[:, :-1]], axis=1)
    return weight, above


def plackett_luce(chance: Matrix, places: int) -> Matrix:
    """The probability of each of the first posts of a ranking, given those above, (n, places).

    Luce (1959) and Plackett (1975): `q_k / (1 - q_1 - … - q_{k-1})`.

    Args:
        chance: of the first place, (n, candidates), in the order of the ranking; rows sum to 1.
        places: how many were shown.
    """
    remaining = np.cumsum(chance[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(chance / remaining)[:, :places]


def softmax(score: Matrix, temperature: float) -> Matrix:
    """Chances of the first place, (n, candidates); −inf stands for no candidate."""
    scaled = score / temperature
    weight = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


def clipped(weight: Matrix, threshold: float) -> Matrix:
    """Weights, at most the threshold."""
    return np.minimum(weight, threshold)


def _ratio(target: Matrix, propensity: Matrix) -> Matrix:
    return np.divide(target, propensity, out=np.zeros_like(target), where=target > 0)
