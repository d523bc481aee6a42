"""What the dbt project says there is to know: its vars are the one list of windows, rates and the rest."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from feed_platform.feed import Feed

PROJECT = Path(os.environ.get("FEED_DBT_PROJECT") or Path(__file__).parents[2] / "dbt_project").absolute()
IMPRESSIONS = "impressions"


@dataclass(frozen=True)
class Derived:
    """A feature that is computed from other stored ones of the same entity group."""

    of: str
    sql: str
    definition: str
    type: str = "float"
    null: str = "never"


@dataclass(frozen=True)
class Definitions:
    """The feature definitions among the project's vars, as `dbt_project.yml` explains them."""

    windows: dict[str, tuple[str, ...]]
    window_hours: dict[str, int]
    totals: dict[str, str]
    counted: dict[str, str]
    rates: dict[str, str]
    recency: dict[str, str]
    prior_window: str
    prior_impressions: int
    derived: dict[str, Derived]


@lru_cache(1)
def definitions() -> Definitions:
    """The definitions of the project that this process uses (FEED_DBT_PROJECT, else the shipped one)."""
    variables: dict[str, Any] = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    return Definitions(
        windows={group: tuple(windows) for group, windows in variables["windows"].items()},
        derived={name: Derived(**feature) for name, feature in variables["derived"].items()},
        **{
            name: variables[name]
            for name in (
                "window_hours",
                "totals",
                "counted",
                "rates",
                "recency",
                "prior_window",
                "prior_impressions",
            )
        },
    )


def measures(feed: Feed) -> tuple[str, ...]:
    """Every measure of a feed: impressions, a count of each event type, the project's own, totals.

    Example:
        >>> measures(Feed(start="2026-01-01", event_types=("click", "dwell")))
        ('impressions', 'clicks', 'dwell_ms')
    """
    known = definitions()
    counts = [measure_of(event) for event in feed.event_types if event not in known.totals]
    totals = [measure for event, measure in known.totals.items() if event in feed.event_types]
    return (IMPRESSIONS, *(name for name in counts if name), *known.counted, *totals)


def measure_of(event: str) -> str | None:
    """The measure that counts an event type; None for one whose values are added up.

    Example:
        >>> measure_of("click"), measure_of("dwell")
        ('clicks', None)
    """
    return None if event in definitions().totals else f"{event}s"


def rates(feed: Feed) -> dict[str, str]:
    """Every smoothed rate and its measure: the project's, and `<event>_rate` of each other objective."""
    counted = measures(feed)
    found = {rate: measure for rate, measure in definitions().rates.items() if measure in counted}
    objectives = {objective.event: measure_of(objective.event) for objective in feed.objectives}
    wanted = {
        f"{event}_rate": measure
        for event, measure in objectives.items()
        if measure in counted and measure not in found.values()
    }
    return found | {rate: measure for rate, measure in wanted.items() if measure}


def recency(feed: Feed) -> dict[str, str]:
    """The events whose recency is a feature, and the measure that each of them raises."""
    counted = measures(feed)
    return {event: measure for event, measure in definitions().recency.items() if measure in counted}
