"""Which columns are compared: the features that matter to the model, and its scores."""

from dataclasses import dataclass, replace

import duckdb
import numpy as np
import polars as pl

from feed_platform.features.project import definitions
from feed_platform.learning.bundle import Bundle
from feed_platform.learning.ranker import importance
from feed_platform.learning.scorers import Boosted, Logistic
from feed_platform.learning.splits import Window
from feed_platform.monitoring.comparison import SCORE, has_values
from feed_platform.monitoring.windows import (
    BEGINNING,
    NEEDED_ROWS,
    PREDICTIONS,
    Reference,
    newest_days,
    scores,
)

MOST_FEATURES = 40
CALENDAR = ("hour_of_day", "day_of_week")


@dataclass(frozen=True)
class Sides:
    """The same columns twice, of recent rows and of the reference, and what to know of them."""

    current: pl.DataFrame
    reference: pl.DataFrame
    notes: tuple[str, ...] = ()

    def noting(self, note: str) -> "Sides":
        """With one more note."""
        return replace(self, notes=(*self.notes, note))

    def with_scores(self, current: pl.Series, reference: pl.Series) -> "Sides":
        """With scores beside the features. They belong to other rows: the shorter side is padded."""
        return Sides(_beside(self.current, current), _beside(self.reference, reference), self.notes)


def feature_columns(bundle: Bundle, current: pl.DataFrame, reference: pl.DataFrame) -> Sides:
    """At most 40 of the model's features that both sides have values of.

    Hour and weekday are left out: they say which days were taken, not what the data is like.
    """
    shared = [name for name in bundle.features if name in current.columns and name not in CALENDAR]
    silent = [name for name in shared if not (has_values(current[name]) and has_values(reference[name]))]
    weights = _weights(bundle)
    chosen = _most_important(weights, [name for name in shared if name not in silent])
    order = "those that matter most to the model" if weights else "those that look back least"
    note = f"{len(chosen)} of {len(bundle.features)} features are compared, {order}."
    sides = Sides(current.select(chosen), reference.select(chosen), (note,))
    return sides.noting(f"Without a value on one side: {', '.join(silent)}.") if silent else sides


def add_scores(
    con: duckdb.DuckDBPyConnection, sides: Sides, reference: Reference, fitted: pl.DataFrame
) -> Sides:
    """Add the champion's scores of the newest requests and of earlier ones.

    Where fewer than 500 earlier ones are logged, its scores of the `fitted` rows stand in.
    """
    version = reference.version
    days = newest_days(con, PREDICTIONS, BEGINNING, version=version)
    recent = scores(con, version, days) if days else pl.Series(SCORE, [], pl.Float64)
    if days is None or len(recent) < NEEDED_ROWS:
        return sides.noting(f"Scores are not compared: {len(recent)} are logged, {NEEDED_ROWS} are needed.")
    earlier = scores(con, version, Window(BEGINNING, days.start))
    if len(earlier) >= NEEDED_ROWS:
        note = f"Scores: those since {days.start:%Y-%m-%d} against the earlier ones of the same model."
        return sides.with_scores(recent, earlier).noting(note)
    note = (
        f"Scores: those since {days.start:%Y-%m-%d} against the model's scores of its training rows at "
        "position 1, as there are too few earlier ones. Candidates aren't impressions: some distance is "
        "natural."
    )
    return sides.with_scores(recent, _scores_at_first_place(reference.bundle, fitted)).noting(note)


def _most_important(weights: dict[str, float], names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: (-weights.get(name, 0.0), _reach(name)))[:MOST_FEATURES]


def _reach(name: str) -> int:
    """How far back a feature looks: 0 without a window, else its hours."""
    return next(
        (reach for reach, window in enumerate(definitions().window_hours, 1) if name.endswith(f"_{window}")),
        0,
    )


def _weights(bundle: Bundle) -> dict[str, float]:
    """How much each feature counts for the first objective; empty for a model of one or no feature."""
    match bundle.heads[0].scorer:
        case Boosted() as ranker:
            return importance(ranker, bundle.features)
        case Logistic(weights=weights):
            return dict(zip(bundle.features, map(abs, weights), strict=True))
        case _:
            return {}


def _scores_at_first_place(bundle: Bundle, rows: pl.DataFrame) -> pl.Series:
    first = rows.with_columns(position=pl.lit(1.0, pl.Float32)).select(bundle.features)
    matrix = np.ascontiguousarray(first.fill_null(np.nan).to_numpy())
    return pl.Series(SCORE, bundle.score(bundle.probabilities(matrix)))


def _beside(frame: pl.DataFrame, column: pl.Series) -> pl.DataFrame:
    return pl.concat([frame, column.to_frame(SCORE)], how="horizontal_extend")
