"""The report's figures."""

from typing import TYPE_CHECKING, Any

import numpy as np

from feed_platform.evaluation.evaluate import BAYES, Evaluation
from feed_platform.evaluation.metrics import Curve
from feed_platform.evaluation.money import FACTORS, Money
from feed_platform.evaluation.pages import order_name
from feed_platform.learning.calibration import Vector
from feed_platform.learning.plots import INK, MODEL, OTHER, legend, new_figure, reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BASELINE, LIMIT, RIVAL = "#d9822b", "#2e9e6b", "#8e5bd0"
POINTS = 400


def roc_figure(found: Evaluation) -> "Figure":
    """True against false positive rate, every model."""
    figure = new_figure("ROC", "false positive rate", "true positive rate")
    figure.axes[0].plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1)
    for name, scored in found.scored.items():
        true, false = Curve.of(scored.label, scored.probability).counts()
        if true[-1] and false[-1]:
            _line(figure.axes[0], found, name, np.r_[0, false / false[-1]], np.r_[0, true / true[-1]])
    legend(figure.axes[0])
    return figure


def precision_recall_figure(found: Evaluation) -> "Figure":
    """Precision against recall, every model."""
    figure = new_figure("Precision and recall", "recall", "precision")
    for name, scored in found.scored.items():
        true, false = Curve.of(scored.label, scored.probability).counts()
        if true[-1]:
            _line(figure.axes[0], found, name, true / true[-1], true / (true + false))
    figure.axes[0].set_ylim(0, None)
    legend(figure.axes[0])
    return figure


def calibration_figure(found: Evaluation) -> "Figure":
    """Predicted against observed rate in ten bins of equal size: the model, and Bayes if known."""
    figure = new_figure("Calibration", "predicted probability", "observed rate")
    axes, top = figure.axes[0], 0.0
    for name in (found.kind, BAYES):
        if name in found.scored:
            predicted, observed = reliability(found.scored[name].label, found.scored[name].probability)
            top = max(top, float(predicted.max()), float(observed.max()))
            axes.plot(predicted, observed, marker="o", markersize=4, label=name, **_style(found, name))
    axes.plot([0, top], [0, top], color=INK, linestyle=":", linewidth=1)
    legend(axes)
    return figure


def slices_figure(found: Evaluation) -> "Figure":
    """Each slice's log loss less the best baseline's, with its interval; left of 0 is better."""
    shown = [part for part in found.slices if np.isfinite([part.gap.low, part.gap.high]).all()][::-1]
    size = (6.4, 0.9 + 0.26 * max(len(shown), 1))
    figure = new_figure(
        f"Log loss less {found.baseline}'s, by slice", "difference (left is better)", "", size
    )
    axes = figure.axes[0]
    axes.axvline(0, color=INK, linestyle=":", linewidth=1)
    for row, part in enumerate(shown):
        axes.plot([part.gap.low, part.gap.high], [row, row], color=OTHER, linewidth=2)
        axes.plot([part.gap.value], [row], color=MODEL, marker="o", markersize=4)
    axes.set_yticks(range(len(shown)), [part.name for part in shown])
    axes.locator_params(axis="x", nbins=5)
    return figure


def swings_figure(money: Money) -> "Figure":
    """The version's worth less the rival's when one objective's weight is another."""
    title = f"Expected worth less {money.rival}'s, by weight"
    figure = new_figure(title, "times the declared weight", "per thousand", (6.4, 3.4))
    axes = figure.axes[0]
    axes.axhline(0, color=INK, linestyle=":", linewidth=1)
    for place, event in enumerate(money.weights):
        swings = [one for one in money.swings if one.event == event]
        across = [FACTORS.index(one.factor) + 0.08 * place for one in swings]
        gaps = [one.gap for one in swings]
        spread = np.array([[gap.value - gap.low for gap in gaps], [gap.high - gap.value for gap in gaps]])
        axes.errorbar(
            across, [gap.value for gap in gaps], np.maximum(spread, 0), marker="o", markersize=4, label=event
        )
    axes.set_xticks(range(len(FACTORS)), [f"{factor:g}" for factor in FACTORS])
    legend(axes)
    return figure


def _line(axes: "Axes", found: Evaluation, name: str, across: Vector, up: Vector) -> None:
    """One curve, thinned to what the eye can tell apart: the page stays small."""
    kept = np.unique(np.linspace(0, len(across) - 1, min(POINTS, len(across))).astype(int))
    axes.plot(across[kept], up[kept], label=order_name(name), **_style(found, name))


def _style(found: Evaluation, name: str) -> dict[str, Any]:
    if name == found.kind:
        return {"color": MODEL, "linewidth": 2, "zorder": 3}
    if name == BAYES:
        return {"color": LIMIT, "linewidth": 1.2, "linestyle": "--"}
    if found.rival and name == found.rival.name:
        return {"color": RIVAL, "linewidth": 1.6}
    return {"color": BASELINE if name == found.baseline else OTHER, "linewidth": 1.2}
