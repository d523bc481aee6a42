"""An answer's lineage names the raw days that its features counted, by content."""

from datetime import datetime, timedelta

import pytest

from feed_platform.feed import Feed, FeedError, save_feed
from feed_platform.lake import Lake
from feed_platform.lineage import lineage
from feed_platform.settings import Settings
from feed_platform_tests.features.lake_builds import Impression, Request, World, insert

START = datetime(2026, 3, 1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AS_OF = START + 40 * DAY


def test_an_answer_leads_to_the_days_that_its_windows_reach(home: Settings) -> None:
    save_feed(home, Feed(start=START.date()))
    times = [AS_OF - 28 * DAY - HOUR, AS_OF - 28 * DAY, AS_OF - 3 * HOUR, AS_OF - 2 * HOUR, AS_OF]
    shown = [Impression(f"i{place}", "ada", "p", at, at) for place, at in enumerate(times)]
    insert(home, World(impressions=shown, requests=[Request("r", AS_OF + HOUR, AS_OF)]))
    before = lineage(home, "r")
    assert before["answer"]["features_as_of"] == AS_OF and before["model"] == {}
    days = before["raw rows that the windows reach"]["raw.impressions"]
    assert [(f"{one['day']:%m-%d}", one["rows"]) for one in days] == [("03-13", 1), ("04-09", 2)]

    with Lake.of(home).write("one value of one row") as con:
        con.execute("update raw.impressions set position = 9 where impression_id = 'i3'")
    after = lineage(home, "r")["raw rows that the windows reach"]["raw.impressions"]
    assert [one["content"] == then["content"] for one, then in zip(after, days, strict=True)] == [True, False]


def test_an_unknown_request_is_said_to_be_unknown(home: Settings) -> None:
    save_feed(home, Feed(start=START.date()))
    with Lake.of(home).write("a lake"), pytest.raises(FeedError, match="no request 'r'"):
        lineage(home, "r")
