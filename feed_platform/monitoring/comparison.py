"""Column by column: does the current data still look like the reference?"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from feed_platform.feed import write_atomically

if TYPE_CHECKING:
    from evidently import Dataset

Kind = Literal["feature", "prediction", "label"]

SCORE = "score"
# Distances, not p-values: in many rows every difference is significant, and a distance beside
# its threshold means the same for every column.
METHODS = {"num_method": "wasserstein", "cat_method": "jensenshannon"}
METHOD_NAMES = {
    "wasserstein": "Wasserstein distance, in standard deviations of the reference",
    "jensenshannon": "Jensen-Shannon distance",
}
HEADER = '<div style="font: 14px/1.5 sans-serif; max-width: 60em; margin: 1.5em auto"><h1>{}</h1>{}</div>'


@dataclass(frozen=True)
class Finding:
    """How far one column moved: a distance of at least 0, and the distance from which on it is drift."""

    kind: Kind
    column: str
    method: str
    value: float
    threshold: float

    @property
    def is_drifted(self) -> bool:
        """Whether the distance reaches the threshold."""
        return self.value >= self.threshold

    @property
    def strength(self) -> float:
        """The distance in thresholds."""
        return self.value / self.threshold


@dataclass(frozen=True)
class Columns:
    """Which columns' numbers are codes, and from which distance on each has drifted; default 0.1."""

    categories: Collection[str]
    thresholds: Mapping[str, float]


@dataclass(frozen=True)
class Page:
    """A report's file, its title, and what stands above the numbers, a paragraph each."""

    path: Path
    title: str
    notes: Sequence[str]


def compare(current: pl.DataFrame, reference: pl.DataFrame, columns: Columns, page: Page) -> list[Finding]:
    """Evidently's drift report as a self-contained page, and a finding for each column.

    Args:
        current: numbers; missing values are left out. A column without any is refused by Evidently.
        reference: the same columns. Each is compared alone, so they may differ in length: padded
            with nulls.
        columns: what is known of them.
        page: where the report goes.
    """
    from evidently import Report
    from evidently.presets import DataDriftPreset

    preset = DataDriftPreset(**METHODS, per_column_threshold=dict(columns.thresholds))
    snapshot = Report([preset]).run(_dataset(current, columns), _dataset(reference, columns))
    _write(snapshot.get_html_str(as_iframe=False), page)
    metrics = snapshot.dict()["metrics"]
    return [_finding(metric) for metric in metrics if metric["config"]["type"].endswith(":ValueDrift")]


def has_values(column: pl.Series) -> bool:
    """Whether anything in a column of numbers is there to compare."""
    return bool(column.is_finite().any())


def _dataset(frame: pl.DataFrame, columns: Columns) -> "Dataset":
    from evidently import DataDefinition, Dataset

    codes = [name for name in frame.columns if name in columns.categories]
    numbers = [name for name in frame.columns if name not in columns.categories]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=codes)
    return Dataset.from_pandas(frame.to_pandas(), definition)


def _finding(metric: dict[str, Any]) -> Finding:
    config = metric["config"]
    kind: Kind = "prediction" if config["column"] == SCORE else "feature"
    method = METHOD_NAMES[config["method"]]
    return Finding(kind, config["column"], method, float(metric["value"]), float(config["threshold"]))


def _write(html: str, page: Page) -> None:
    """Put the notes above Evidently's widgets, which have no place for them."""
    page.path.parent.mkdir(parents=True, exist_ok=True)
    notes = "".join(f"<p>{escape(note)}</p>" for note in page.notes)
    header = HEADER.format(escape(page.title), notes)
    write_atomically(page.path, html.replace("<body>", f"<body>{header}", 1))
