"""What one dbt process needs: its environment and the run's vars."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from feed_platform.features.builds import Build
from feed_platform.features.project import PROJECT, rates
from feed_platform.feed import Feed
from feed_platform.lake import Lake
from feed_platform.lake.seal import DAY, day_of
from feed_platform.settings import Settings


def dbt_environment(settings: Settings) -> dict[str, str]:
    """Variables with which a bare `dbt build` works on this home from any shell."""
    lake, state = Lake.of(settings), settings.root / "dbt"
    return {
        "FEED_LAKE_ADDRESS": lake.address,
        "FEED_LAKE_FILES": lake.data,
        "FEED_LAKE_LOCK": "" if lake.on_postgres else str(lake.lock_path),
        "FEED_LAKE_TEMP": str(lake.temp),
        "FEED_MEMORY_LIMIT": lake.memory_limit,
        "DBT_PROJECT_DIR": str(PROJECT),
        "DBT_PROFILES_DIR": str(PROJECT),
        "DBT_TARGET_PATH": str(state / "target"),
        "DBT_LOG_PATH": str(state / "logs"),
    }


def child_environment(settings: Settings) -> dict[str, str]:
    """The same for a dbt process that ends when the calling process does."""
    return {**dbt_environment(settings), "FEED_DBT_PARENT_PID": str(os.getpid())}


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process, which the child processes inherit, for the time of the block."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def dbt_vars(feed: Feed, start: datetime, end: datetime, sealed_until: datetime) -> dict[str, Any]:
    """The vars of a run over the days [start, end)."""
    return {
        "start_day": start.strftime("%Y-%m-%d"),
        "end_day": end.strftime("%Y-%m-%d"),
        "seal": sealed_until.isoformat(sep=" "),
        "feature_delay_minutes": feed.feature_delay_minutes,
        "label_window_seconds": feed.label_window_seconds,
        "label_delay_seconds": feed.label_delay_seconds,
        "event_types": list(feed.event_types),
        "rates": rates(feed),
    }


def days_to_build(
    days: tuple[datetime, datetime],
    feed: Feed,
    sealed_until: datetime,
    last: Build | None,
    reopened_from: datetime | None = None,
) -> tuple[datetime, datetime]:
    """The run's days, stretched over those that the last build left open or that were reopened since.

    After every build that ends well the features are complete up to the seal, in whichever order
    partitions are materialized: windows reach back over whole days, and none may be missing.
    """
    if last is not None and last.sealed_until == sealed_until and reopened_from is None:
        return days
    open_since = last.sealed_until if last else feed.start_at
    first_open = day_of(min(open_since, reopened_from or open_since))
    return min(days[0], first_open), max(days[1], day_of(sealed_until) + DAY)
