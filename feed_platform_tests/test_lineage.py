"""An answer's lineage names the raw days that its features counted, by content."""

from datetime import datetime, timedelta

import pytest

from feed_platform.features.builds import record_build
from feed_platform.feed import Feed, FeedError, save_feed
from feed_platform.lake import Lake
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.tracking import Launch
from feed_platform.learning.training import train
from feed_platform.lineage import lineage, model_lineage
from feed_platform.settings import Settings
from feed_platform_tests.features.lake_builds import Impression, Request, World, insert
from feed_platform_tests.learning.homes import NewHome, migrated_store, new_home
from feed_platform_tests.learning.synthetic import FEED, fill_lake, synthetic_frame

__all__ = ["migrated_store", "new_home"]

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


def test_a_version_leads_to_the_raw_days_it_counted_and_says_which_have_changed(new_home: NewHome) -> None:
    home = new_home()
    save_feed(home, FEED)
    fill_lake(home, synthetic_frame(1_500))
    shown = [Impression(f"i{n}", "ada", "p", START - n * DAY, START - n * DAY) for n in (1, 2)]
    insert(home, World(impressions=shown))
    with Lake.of(home).write("a build") as con:
        record_build(con, 2, START, {"post_features": "0f"})
    version = train(home, FEED, RankerConfig(rounds=5), Launch("run", "train")).candidate.version
    found = model_lineage(home, version)
    made_of, tags = found["made of"], found["model"]["tags"]
    assert [one["day"] for one in made_of["raw"]["raw.impressions"]] == ["2026-02-27", "2026-02-28"]
    assert tags["raw_content"] == made_of["raw_content"] and tags["dbt_definitions"] == made_of["definitions"]
    assert tags["code_version"] == made_of["code_version"] and int(tags["training_read_at"]) > 0
    assert found["metrics"]["validation_log_loss_constant"] > 0
    assert found["raw days that have changed since"] == []
    with Lake.of(home).write("one value of one row") as con:
        con.execute("update raw.impressions set position = 9 where impression_id = 'i2'")
    (changed,) = model_lineage(home, version)["raw days that have changed since"]
    assert changed.startswith("raw.impressions 2026-02-27")
    with pytest.raises(FeedError, match="no model version 99"):
        model_lineage(home, "99")
