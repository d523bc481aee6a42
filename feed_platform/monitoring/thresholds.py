"""From which distance on a column has drifted: more than the reference itself varies from day to day."""

from collections.abc import Collection

import numpy as np
import polars as pl
from numpy.typing import NDArray

LEAST = 0.1
MARGIN = 1.5
DAY_ROWS = 100


def daily_thresholds(rows: pl.DataFrame, days: pl.Series, categories: Collection[str]) -> dict[str, float]:
    """A threshold for each column: 1.5 times the distance of its oddest day from all days, at least 0.1.

    Args:
        rows: the reference.
        days: the day of each row; those with under 100 rows are too noisy to count.
        categories: columns whose numbers are codes.
    """
    parts = [part.drop("day") for part in rows.with_columns(day=days).partition_by("day")]
    parts = [part for part in parts if len(part) >= DAY_ROWS]
    return {
        name: max(
            LEAST, *(MARGIN * _distance(part[name], rows[name], name in categories) for part in parts), 0.0
        )
        for name in rows.columns
    }


def _distance(part: pl.Series, whole: pl.Series, is_category: bool) -> float:
    """What Evidently calls wasserstein and jensenshannon, between a day and all days."""
    some, all_ = _present(part), _present(whole)
    if not len(some):
        return 0.0
    return _between_codes(some, all_) if is_category else _between_numbers(some, all_)


def _between_numbers(some: NDArray[np.float64], all_: NDArray[np.float64]) -> float:
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(some, all_)) / max(float(np.std(all_)), 0.001)


def _between_codes(some: NDArray[np.float64], all_: NDArray[np.float64]) -> float:
    from scipy.spatial.distance import jensenshannon

    codes, places = np.unique(np.concatenate([some, all_]), return_inverse=True)
    counts = [np.bincount(side, minlength=len(codes)) for side in np.split(places, [len(some)])]
    return float(jensenshannon(*counts))


def _present(column: pl.Series) -> NDArray[np.float64]:
    values = column.cast(pl.Float64).to_numpy()
    return values[np.isfinite(values)]
