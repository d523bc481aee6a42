"""How small a difference of two rates a log of some size can show, and how large a log one takes."""

import math
from functools import lru_cache

LEVEL, POWER = 0.95, 0.8


def visible_difference(rate: float, rows: int) -> float:
    """The difference of two rates, near `rate`, that `rows` of each show four times in five.

    Two-sided at 95 %, by the normal approximation (Fleiss, Levin and Paik 2003).

    Example:
        >>> round(visible_difference(0.004, 10_000), 4)
        0.0025
    """
    return _factor() * math.sqrt(2 * rate * (1 - rate) / rows)


def rows_for_difference(one: float, other: float) -> int:
    """How many rows of each policy show the difference of two rates four times in five.

    Example:
        >>> rows_for_difference(0.0035, 0.0050)
        29522
    """
    spread = one * (1 - one) + other * (1 - other)
    return math.ceil(_factor() ** 2 * spread / (one - other) ** 2)


@lru_cache(1)
def _factor() -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + LEVEL) / 2) + norm.ppf(POWER))
