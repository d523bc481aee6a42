"""Diagnoses as rows of `training.diagnosis`, as sections and as a page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.errors.ablation import MOST_ROWS
from feed_platform.evaluation.errors.diagnosis import Diagnosis, diagnose, pick_version
from feed_platform.evaluation.errors.trials import Point
from feed_platform.evaluation.pages import Section, fill, section
from feed_platform.feed import Feed, write_atomically
from feed_platform.lake import Lake
from feed_platform.lake.tables import has_table
from feed_platform.learning import registry
from feed_platform.learning.plots import INK, MODEL, OTHER, new_figure, svg
from feed_platform.learning.record import TrainingRecord
from feed_platform.learning.registry import ModelVersion
from feed_platform.settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE = "training.diagnosis"
COLUMNS = """model_version VARCHAR, run_id VARCHAR, event VARCHAR, study VARCHAR, item VARCHAR, rows BIGINT,
             loss DOUBLE, low DOUBLE, high DOUBLE, against VARCHAR, gap DOUBLE, gap_low DOUBLE,
             gap_high DOUBLE, n BIGINT, lake_version BIGINT, diagnosed_at TIMESTAMP"""


@dataclass(frozen=True)
class Diagnosed:
    """A version's diagnosis by objective, and its page."""

    version: ModelVersion
    found: list[Diagnosis]
    path: Path

    def lines(self) -> Iterator[str]:
        """The answers, a line each, then where the page lies."""
        for part in self.found:
            for sentence in part.sentences:
                yield f"model {self.version.version}, {part.event}: {sentence}"
        yield str(self.path)


def publish_diagnosis(
    settings: Settings, feed: Feed, number: str | None, note: Callable[[str], None]
) -> Diagnosed:
    """Diagnose a version (none named: the newest): rows in the lake, a page, the page in its MLflow run.

    Raises:
        FeedError: there is no such version.
        VersionGone: the rows of its training aren't there any more.
    """
    version = pick_version(settings, number)
    found = diagnose(settings, feed, version, note)
    save_diagnosis(Lake.of(settings), version, _lake_version(settings, version), found)
    path = settings.reports / f"diagnosis-{version.version}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    page = fill("diagnosis_page.html", version=version, sections=[_section(part) for part in found])
    write_atomically(path, page)
    registry.client(settings).log_artifact(version.run_id, str(path), "reports")
    return Diagnosed(version, found, path)


def save_diagnosis(lake: Lake, version: ModelVersion, lake_version: int, found: list[Diagnosis]) -> int:
    """Replace the version's rows of the table; returns how many there are."""
    at = datetime.now(UTC).replace(tzinfo=None)
    common = {
        "model_version": version.version,
        "run_id": version.run_id,
        "lake_version": lake_version,
        "diagnosed_at": at,
    }
    rows = [{**common, **_row(point)} for part in found for point in (*part.curve, *part.ablation)]
    with lake.write(f"diagnosis of model {version.version}", {"model_version": version.version}) as con:
        con.execute(f"create table if not exists {TABLE} ({COLUMNS})")
        con.execute(f"delete from {TABLE} where model_version = ?", [version.version])
        if rows:
            numbers = pl.DataFrame(rows, infer_schema_length=None)
            con.register("numbers", numbers.with_columns(pl.selectors.float().fill_nan(None)).to_arrow())
            con.execute(f"insert into {TABLE} by name from numbers")
    return len(rows)


def saved_diagnosis(lake: Lake, version: ModelVersion) -> list[Diagnosis]:
    """The diagnosis that the lake keeps of a version of this run, by objective; none where there is none."""
    with lake.read() as con:
        if not has_table(con, TABLE):
            return []
        kept = con.execute(
            f"from {TABLE} where model_version = ? and run_id = ?", [version.version, version.run_id]
        ).pl()
    points = [_point(row) for row in kept.iter_rows(named=True)]
    return [Diagnosis.of(event, points) for event in dict.fromkeys(point.event for point in points)]


def diagnosis_sections(lake: Lake, version: ModelVersion) -> list[Section]:
    """The report's sections of the diagnosis that a version has, one for each objective."""
    return [_section(part) for part in saved_diagnosis(lake, version)]


def curve_figure(found: Diagnosis) -> "Figure":
    """Log loss by rows learned from, with intervals."""
    figure = new_figure("Learning curve", "training rows", "validation log loss", (6.4, 3.0))
    axes, losses = figure.axes[0], [point.loss for point in found.curve]
    rows = [point.rows for point in found.curve]
    axes.errorbar(
        rows,
        [loss.value for loss in losses],
        _spread(losses),
        color=MODEL,
        ecolor=OTHER,
        marker="o",
        capsize=3,
    )
    if rows:
        axes.set_xscale("log")
        axes.set_xticks(rows, [f"{one:,}" for one in rows])
        axes.minorticks_off()
    return figure


def ablation_figure(found: Diagnosis) -> "Figure":
    """What leaving out each group adds to the log loss, with intervals; right of 0 it is missed."""
    shown = [(point.item, point.gap) for point in found.ablation if point.gap][::-1]
    size = (6.4, 0.9 + 0.26 * max(len(shown), 1))
    figure = new_figure("Log loss added without a group", "difference (right is missed)", "", size)
    axes, gaps = figure.axes[0], [gap for _, gap in shown]
    axes.axvline(0, color=INK, linestyle=":", linewidth=1)
    places = np.arange(len(shown))
    axes.errorbar(
        [gap.value for gap in gaps], places, xerr=_spread(gaps), color=MODEL, ecolor=OTHER, fmt="o", capsize=3
    )
    axes.set_yticks(places, [item for item, _ in shown])
    axes.locator_params(axis="x", nbins=5)
    return figure


def _section(found: Diagnosis) -> Section:
    return section(
        f"diagnosis-{found.event}",
        f"More data, which features: {found.event}",
        "diagnosis.html",
        found=found,
        most_rows=MOST_ROWS,
        curve=svg(curve_figure(found), f"curve-{found.event}") if found.curve else "",
        ablation=svg(ablation_figure(found), f"ablation-{found.event}") if found.ablation else "",
    )


def _spread(measures: list[Measure]) -> np.ndarray:
    """The intervals as matplotlib wants them, (2, n)."""
    lengths = [[one.value - one.low for one in measures], [one.high - one.value for one in measures]]
    return np.maximum(np.nan_to_num(np.array(lengths)), 0)


def _lake_version(settings: Settings, version: ModelVersion) -> int:
    return TrainingRecord.of(registry.client(settings), version.run_id).lake_version


def _row(point: Point) -> dict[str, Any]:
    gap = point.gap
    return {
        "event": point.event,
        "study": point.study,
        "item": point.item,
        "rows": point.rows,
        "loss": point.loss.value,
        "low": point.loss.low,
        "high": point.loss.high,
        "against": point.against,
        "gap": gap.value if gap else None,
        "gap_low": gap.low if gap else None,
        "gap_high": gap.high if gap else None,
        "n": point.loss.n,
    }


def _point(row: dict[str, Any]) -> Point:
    gap = row["against"] and _measure(row, "gap", "gap_low", "gap_high")
    loss = _measure(row, "loss", "low", "high")
    return Point(row["study"], row["item"], row["event"], row["rows"], loss, row["against"], gap)


def _measure(row: dict[str, Any], *names: str) -> Measure:
    value, low, high = (float("nan") if row[name] is None else row[name] for name in names)
    return Measure(value, low, high, row["n"])
