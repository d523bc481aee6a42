"""Figures that need no screen, and the forms that MLflow, Dagster and reports show them in."""

import base64
import html
import io
from typing import TYPE_CHECKING

import numpy as np

from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MODEL, OTHER = "#808080", "#2a78d6", "#b0b0b0"
TOP_FEATURES = 15
BINS = 10


def new_figure(title: str, across: str, up: str, size: tuple[float, float] = (5.0, 3.4)) -> "Figure":
    """An empty, transparent figure with one pair of axes whose grey is legible on light and dark."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, color=INK, fontsize=10, loc="left")
    axes.set_xlabel(across, color=INK, fontsize=9)
    axes.set_ylabel(up, color=INK, fontsize=9)
    axes.tick_params(colors=INK, labelsize=8)
    for side, spine in axes.spines.items():
        spine.set_color(INK)
        spine.set_visible(side in ("left", "bottom"))
    axes.patch.set_alpha(0)
    figure.patch.set_alpha(0)
    return figure


def legend(axes: "Axes") -> None:
    """A frameless legend in the figure's grey."""
    axes.legend(frameon=False, fontsize=8, labelcolor=INK)


def importance_figure(shares: dict[str, float]) -> "Figure":
    """The features with the greatest shares of the gain."""
    top = list(shares.items())[:TOP_FEATURES][::-1]
    figure = new_figure("Feature importance", "share of total gain", "", (5.0, 0.6 + 0.25 * max(len(top), 1)))
    figure.axes[0].barh([name for name, _ in top], [share for _, share in top], color=MODEL)
    return figure


def reliability_figure(label: Labels, probability: Vector) -> "Figure":
    """Predicted against observed rate in bins of equal size."""
    figure = new_figure("Reliability", "predicted probability", "observed rate", (4.0, 3.4))
    axes = figure.axes[0]
    predicted, observed = reliability(label, probability)
    top = float(max(predicted.max(), observed.max())) * 1.05
    axes.plot([0, top], [0, top], color=OTHER, linestyle="--", linewidth=1)
    axes.plot(predicted, observed, color=MODEL, marker="o", markersize=4)
    return figure


def reliability(label: Labels, probability: Vector, bins: int = BINS) -> tuple[Vector, Vector]:
    """Mean prediction and observed rate of bins of equal size, each of shape (bins,) at most.

    Example:
        >>> predicted, observed = reliability(np.array([0, 1, 1, 1]), np.array([0.1, 0.3, 0.8, 0.8]), 2)
        >>> predicted.round(2).tolist(), observed.tolist()
        ([0.2, 0.8], [0.5, 1.0])
    """
    groups = np.array_split(np.argsort(probability, kind="stable"), min(bins, len(label)))
    return (
        np.array([probability[rows].mean() for rows in groups]),
        np.array([label[rows].mean() for rows in groups]),
    )


def png(figure: "Figure", dots_per_inch: int = 80) -> bytes:
    """The figure as PNG."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dots_per_inch)
    return out.getvalue()


def svg(figure: "Figure", name: str) -> str:
    """The figure as an SVG element for a page, with what it shows in words for who can't see it.

    Args:
        name: keeps its ids apart from other figures'.
    """
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text, said = out.getvalue(), html.escape(in_words(figure))
    return f'<svg role="img" aria-label="{said}"{text[text.index("<svg") + len("<svg") :]}'


def in_words(figure: "Figure") -> str:
    """Title, axes and what is drawn.

    Example:
        >>> figure = new_figure("ROC", "false positive rate", "true positive rate")
        >>> line = figure.axes[0].plot([0, 1], [0, 1], label="xgboost")
        >>> in_words(figure)
        'ROC: true positive rate (up) by false positive rate (across); xgboost'
    """
    axes = figure.axes[0]
    title, across, up = axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()
    labels = axes.get_legend_handles_labels()[1] or [
        text.get_text() for text in axes.get_yticklabels() if not up
    ]
    said = f"{title}: {up} (up) by {across} (across)" if up else f"{title}: {across}"
    return f"{said}; {', '.join(labels)}" if labels else said


def markdown_image(figure: "Figure", alt: str) -> str:
    """The figure inside a Markdown text, as Dagster's metadata shows it."""
    return f"![{alt}](data:image/png;base64,{base64.b64encode(png(figure, 60)).decode()})"
