"""The evidence as one self-contained HTML page, beside its JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from feed_platform.evaluation.pages import shown
from feed_platform.evaluation.report import METRICS
from feed_platform.feed import write_atomically
from feed_platform.learning.plots import INK, MODEL, OTHER, new_figure, svg
from feed_platform.promotion.evidence import Evidence
from feed_platform.promotion.finding import Finding
from feed_platform.settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATE = "promotion.html"


@dataclass(frozen=True)
class Files:
    """Where an attempt's evidence lies."""

    page: Path
    json: Path


def write_evidence(settings: Settings, evidence: Evidence) -> Files:
    """Write `reports/promotion-<candidate>-against-<champion>.html` and `.json`."""
    against = evidence.champion.version if evidence.champion else "none"
    stem = settings.reports / f"promotion-{evidence.candidate.version}-against-{against}"
    files = Files(stem.with_suffix(".html"), stem.with_suffix(".json"))
    stem.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(files.json, evidence.dumps())
    write_atomically(files.page, render(evidence))
    return files


def render(evidence: Evidence) -> str:
    """The page: no script, no file beside it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("feed_platform.promotion", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["measure"] = shown
    return pages.get_template(TEMPLATE).render(
        evidence=evidence, titles=METRICS, figure=svg(gaps_figure(evidence.findings), "promotion")
    )


def gaps_figure(findings: tuple[Finding, ...]) -> "Figure":
    """Each compared difference in standard errors, with its one-sided bounds; left of 0 speaks for."""
    drawn = [one for one in findings if one.gap and np.isfinite(one.gap.low) and one.gap.error > 0][::-1]
    size = (6.4, 0.9 + 0.3 * len(drawn))
    figure = new_figure("Log loss less what is asked for", "standard errors (left is better)", "", size)
    axes = figure.axes[0]
    axes.axvline(0, color=INK, linestyle=":", linewidth=1)
    for row, one in enumerate(drawn):
        assert one.gap is not None
        bounds = np.array([one.gap.low, one.gap.high]) / one.gap.error
        axes.plot(bounds, [row, row], color=OTHER, linewidth=2)
        axes.plot([one.gap.in_errors], [row], color=MODEL, marker="o", markersize=4)
    axes.set_yticks(range(len(drawn)), [one.name for one in drawn])
    return figure
