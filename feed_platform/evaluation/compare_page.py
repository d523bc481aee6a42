"""The comparison of two versions as one self-contained HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING

from feed_platform.evaluation.compare import Comparison, Objective, compare
from feed_platform.evaluation.pages import fill, told
from feed_platform.evaluation.report import METRICS
from feed_platform.feed import write_atomically
from feed_platform.learning import registry
from feed_platform.learning.plots import INK, MODEL, legend, new_figure, reliability, svg
from feed_platform.settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OTHER = "#d9822b"
THRESHOLDED = ("accuracy", "precision", "recall", "f1")


def compare_versions(settings: Settings, one: str, other: str) -> Path:
    """Compare two registered versions; returns the page.

    Raises:
        FeedError: a version isn't there, or they have no test rows or objectives in common.
    """
    versions = (registry.get_version(settings, version) for version in (one, other))
    return write_comparison(settings, compare(settings, *versions))


def write_comparison(settings: Settings, found: Comparison) -> Path:
    """Write `reports/compare-<one>-<other>.html`."""
    path = settings.reports / f"compare-{found.one.version}-{found.other.version}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, render_comparison(found))
    return path


def render_comparison(found: Comparison) -> str:
    """The page: no script, no file beside it."""
    return fill(
        "compare.html",
        found=found,
        names=names(found),
        objectives=[(part, judged(found, part), _figure(found, part)) for part in found.objectives],
        metrics={name: title for name, title in METRICS.items() if name not in THRESHOLDED},
    )


def names(found: Comparison) -> tuple[str, str]:
    """Both versions' names for tables."""
    return f"{found.one.version} ({found.one.kind})", f"{found.other.version} ({found.other.kind})"


def judged(found: Comparison, part: Objective) -> str:
    """One objective's log loss in a sentence; no difference is called one within noise."""
    gap, (one, other) = part.gap("log_loss"), names(found)
    word = {"less": "better than", "more": "worse than"}.get(told(gap), "not told apart from")
    return (
        f"For {part.event}, version {one} is {word} version {other} on {found.rows:,} impressions of "
        f"{found.users:,} users with {part.positives:,} {part.event}s, shown after both trainings: its "
        f"log loss differs by {gap.value:+.5f} ({gap.low:+.5f} to {gap.high:+.5f}; below 0 is better)."
    )


def _figure(found: Comparison, part: Objective) -> str:
    return svg(calibration_overlay(found, part), f"overlay-{part.event}")


def calibration_overlay(found: Comparison, part: Objective) -> "Figure":
    """Predicted against observed rate in ten bins of equal size, both versions."""
    figure = new_figure(f"Calibration: {part.event}", "predicted probability", "observed rate")
    axes, top = figure.axes[0], 0.0
    for name, scored, colour in zip(names(found), part.scored, (MODEL, OTHER), strict=True):
        predicted, observed = reliability(scored.label, scored.probability)
        top = max(top, float(predicted.max()), float(observed.max()))
        axes.plot(predicted, observed, marker="o", markersize=4, label=name, color=colour)
    axes.plot([0, top], [0, top], color=INK, linestyle=":", linewidth=1)
    legend(axes)
    return figure
