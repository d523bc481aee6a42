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
    return f"{measure.value:z.4f}" if measure is not None and isfinite(measure.value) else "–"


def around(measure: Measure | None) -> str:
    """The interval alone, empty where there is none."""
    defined = measure is not None and isfinite(measure.value) and isfinite(measure.low)
    return f"{measure.low:z.4f} to {measure.high:z.4f}" if measure is not None and defined else ""


def told(gap: Measure) -> str:
    """A difference in a word: none is called one whose interval includes 0.

    Example:
        >>> [told(Measure(1.0, low, 2.0, 9)) for low in (0.5, -0.5)], told(Measure(-1.0, -2.0, -0.5, 9))
        (['more', 'within noise'], 'less')
    """
    return "within noise" if not gap.is_clear else "more" if gap.low > 0 else "less"


def thousand(measure: Measure, sign: str = "") -> str:
    """A value per thousand with its interval.

    Example:
        >>> thousand(Measure(37.25, 30.0, 44.0, 10)), thousand(Measure(2.0, float("nan"), 0, 1), "+")
        ('37.2 (30.0 to 44.0)', '+2.0')
    """
    if not isfinite(measure.low):
        return f"{measure.value:{sign},.1f}"
    return f"{measure.value:{sign},.1f} ({measure.low:{sign},.1f} to {measure.high:{sign},.1f})"


def order_name(name: str) -> str:
    """A model's name; the log's own order and another training's version in words.

    Example:
        >>> [order_name(name) for name in ("xgboost", "as_shown", "version_3")]
        ['xgboost', 'the log as shown', 'version 3']
    """
    return "the log as shown" if name == "as_shown" else name.replace("version_", "version ")


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
    made.filters.update(order=order_name, told=told, thousand=thousand)
    return made
