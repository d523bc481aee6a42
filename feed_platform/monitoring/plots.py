"""The drift report's picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from feed_platform.learning.plots import MODEL, OTHER, new_figure
from feed_platform.monitoring.comparison import Finding

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 15


def strength_figure(findings: Sequence[Finding]) -> "Figure":
    """The columns that moved most, in thresholds; from 1 on it is drift."""
    top = sorted(findings, key=lambda found: found.strength)[-SHOWN:]
    figure = new_figure("Drift", "distance in thresholds", "", (5.0, 0.6 + 0.25 * max(len(top), 1)))
    axes = figure.axes[0]
    colours = [MODEL if found.is_drifted else OTHER for found in top]
    axes.barh([found.column for found in top], [found.strength for found in top], color=colours)
    axes.axvline(1, color=OTHER, linestyle="--", linewidth=1)
    return figure
