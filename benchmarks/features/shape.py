"""What every contender computes: six entity groups, three windows, three measures and a smoothed rate."""

from datetime import datetime, timedelta
from itertools import product
from typing import Any

from feed_platform.feed import Feed

START = datetime(2024, 1, 1)
DAY = timedelta(days=1)
GROUPS = ("user", "post", "author", "topic", "user_topic", "user_author")
WINDOWS = {"24h": 24, "7d": 168, "28d": 672}
MEASURES = ("impressions", "clicks", "dwell_ms")
PRIOR_WINDOW, PRIOR_IMPRESSIONS = "7d", 20
SLICE_ROWS = 1_500_000
FEED = Feed(name="benchmark", start=START.date(), clock="log", event_types=("click", "dwell"))

# The dbt project's definitions, narrowed to these.
VARS: dict[str, Any] = {
    "event_types": list(FEED.event_types),
    "windows": {group: list(WINDOWS) for group in GROUPS},
    "rates": {"ctr": "clicks"},
    "recency": {},
    "derived": {},
}


def features_of(group: str) -> list[str]:
    """A group's feature columns."""
    return [f"{group}_{measure}_{window}" for window, measure in product(WINDOWS, (*MEASURES, "ctr"))]


FEATURES = [name for group in GROUPS for name in features_of(group)]


def day(number: int) -> datetime:
    """The start of a day of the log."""
    return START + number * DAY
