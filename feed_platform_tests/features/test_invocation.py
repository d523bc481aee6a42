"""Which days a run builds, and the environment it gives to dbt."""

import os
from datetime import date, datetime

from feed_platform.features.builds import Build
from feed_platform.features.invocation import days_to_build, environment
from feed_platform.feed import Feed

FEED = Feed(start=date(2026, 1, 1))
SEAL = datetime(2026, 1, 20, 7)
TENTH = (datetime(2026, 1, 10), datetime(2026, 1, 11))


def last_build(sealed_until: datetime) -> Build:
    """A build up to an instant."""
    return Build(1, sealed_until, sealed_until)


def test_a_first_build_is_complete_whatever_day_it_was_asked_for() -> None:
    assert days_to_build(TENTH, FEED, SEAL, None) == (datetime(2026, 1, 1), datetime(2026, 1, 21))


def test_a_build_takes_up_the_days_that_the_last_one_left_open() -> None:
    today = (datetime(2026, 1, 20), datetime(2026, 1, 21))
    assert days_to_build(today, FEED, SEAL, last_build(datetime(2026, 1, 19, 23))) == (
        datetime(2026, 1, 19),
        datetime(2026, 1, 21),
    )


def test_a_day_is_built_alone_where_nothing_is_open() -> None:
    assert days_to_build(TENTH, FEED, SEAL, last_build(SEAL)) == TENTH


def test_variables_are_set_for_the_block_alone() -> None:
    before = dict(os.environ)
    with environment({"FEED_DBT_PARENT_PID": "1"}):
        assert os.environ["FEED_DBT_PARENT_PID"] == "1"
    assert dict(os.environ) == before
