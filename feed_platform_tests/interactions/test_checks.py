"""What the checks of the raw tables notice: thin days, and rows that stopped coming."""

from datetime import date, datetime, timedelta

import pytest

from feed_platform.feed import Feed
from feed_platform.interactions.checks import RULES, recent
from feed_platform.lake import Lake
from feed_platform.settings import Settings

START = datetime(2026, 1, 1)
RULE = next(rule for rule in RULES if (rule.table, rule.name) == ("impressions", "steady_volume"))


@pytest.mark.parametrize(
    ("rows_by_day", "thin"),
    [
        ([100] * 16, 0),
        ([1, *[100] * 5, 1], 0),  # the first and the newest day may be parts of days
        ([100] * 5 + [9] + [100] * 3, 1),
        ([100] * 5 + [10] + [100] * 3, 0),
        ([100] * 5 + [0] * 2 + [100] * 3, 2),
        ([100, 0, 0, 0, 0, 100], 0),  # a log that is mostly silent
        ([0] + [100] * 20, 0),
        ([100], 0),
        ([], 0),
    ],
)
def test_a_thin_day_is_under_a_tenth_of_the_usual(home: Settings, rows_by_day: list[int], thin: int) -> None:
    with Lake.of(home).write("days") as con:
        for number, rows in enumerate(rows_by_day):
            con.execute(
                "insert into raw.impressions (known_at) select ? from range(?)",
                [START + timedelta(days=number), rows],
            )
        assert con.execute(RULE.sql).fetchone() == (thin,)


def test_rows_that_stopped_coming_are_noticed_but_for_a_log(home: Settings) -> None:
    live = Feed(start=date(2026, 1, 1))
    log = live.model_copy(update={"clock": "log"})
    with Lake.of(home).write("an old day") as con:
        assert not recent(con, live).passed and not recent(con, log).passed
        con.execute("insert into raw.impressions (known_at) values (?)", [START])
        con.execute("insert into raw.engagements (known_at) values (?)", [START + timedelta(days=9)])
        assert not recent(con, live).passed and recent(con, log).passed
        con.execute("insert into raw.impressions (known_at) values (now()::timestamp - interval 1 hour)")
        assert recent(con, live).passed
