"""Why a post stands where it does: what each feature adds to the model's margin, in words.

Contributions are exact: TreeSHAP (Lundberg et al. 2020) of a booster, the terms of a linear model. They
add up to the margin, the log-odds before calibration.
"""

from collections.abc import Sequence

from feed_platform.features.packed import Floats
from feed_platform.learning.scorers import contributions
from feed_platform.serving.drawing import Vector
from feed_platform.serving.reasons import Theme, themes
from feed_platform.serving.schemas import Contribution, Explanation
from feed_platform.serving.store import Model

EXPLAINED = 20
REASONS = 8
BASE, REST = "an average post", "everything else"


def explain(model: Model, matrix: Floats) -> list[dict[str, Explanation]]:
    """Each row's explanation of each objective.

    Args:
        matrix: the model's feature rows (n, features).
    """
    rows: list[dict[str, Explanation]] = [{} for _ in matrix]
    for head in model.bundle.heads:
        found = contributions(head.scorer, matrix)
        for row, parts, values in zip(rows, found if found is not None else (), matrix, strict=False):
            row[head.event] = _explanation(model.bundle.features, parts, values)
    return rows


def compare(model: Model, pair: Floats) -> dict[str, Explanation]:
    """What speaks for the first of two rows (2, features), against the second: their difference."""
    found = {head.event: contributions(head.scorer, pair) for head in model.bundle.heads}
    return {
        event: _explanation(model.bundle.features, parts[0] - parts[1])
        for event, parts in found.items()
        if parts is not None
    }


def _explanation(features: Sequence[str], parts: Vector, values: Vector | None = None) -> Explanation:
    """The largest themes in words, the base and all else; only their names where there are no values."""
    added = {theme: float(parts[places].sum()) for theme, places in themes(tuple(features)).items()}
    largest = sorted(added, key=lambda theme: -abs(added[theme]))[:REASONS]
    reasons = [
        Contribution(_words(theme, added[theme], features, values), added[theme])
        for theme in largest
        if added[theme]
    ]
    rest = sum(added[theme] for theme in added if theme not in largest)
    base = [Contribution(BASE, float(parts[-1]))] if values is not None else []
    return Explanation(float(parts.sum()), [*base, *reasons, Contribution(REST, rest)])


def _words(theme: Theme, value: float, features: Sequence[str], row: Vector | None) -> str:
    if row is None:
        return theme.name
    return theme.words(value, row[themes(tuple(features))[theme]])
