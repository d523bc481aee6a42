"""Pages made of sections: the templates' environment, and how numbers stand on them."""

from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.off_policy.verdict import per_thousand

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class Section:
    """A part of a page under a heading of its own, which the table of contents names."""

    anchor: str
    title: str
    html: str


def fill(template: str, **values: Any) -> str:
    """A file of `evaluation/templates` with its values filled in: no script, no file beside it."""
    return _environment().get_template(template).render(**values)


def section(anchor: str, title: str, template: str, **values: Any) -> Section:
    """A section whose content a template makes."""
    return Section(anchor, title, fill(template, **values))


def shown(measure: Measure | None) -> str:
    """A measure as text: value, then its interval.

    Example:
        >>> shown(Measure(0.25, 0.2, 0.31, 10)), shown(Measure(float("nan"), 0, 0, 0)), shown(None)
        ('0.2500 (0.2000 to 0.3100)', '–', '–')
    """
    interval = around(measure)
    return f"{value(measure)} ({interval})" if interval else value(measure)


def value(measure: Measure | None) -> str:
    """The value alone, a dash where there is none."""
    return f"{measure.value:.4f}" if measure is not None and isfinite(measure.value) else "–"


def around(measure: Measure | None) -> str:
    """The interval alone, empty where there is none."""
    defined = measure is not None and isfinite(measure.value) and isfinite(measure.low)
    return f"{measure.low:.4f} to {measure.high:.4f}" if measure is not None and defined else ""


@lru_cache(1)
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("feed_platform.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(measure=shown, value=value, around=around, per_thousand=per_thousand)
    return made
