"""What a build has to do: open days, reopened history, changed definitions."""

from datetime import date, datetime, timedelta

from feed_platform.features.builds import changed_models, record_build
from feed_platform.features.definition_hashes import definition_hashes
from feed_platform.features.invocation import dbt_vars
from feed_platform.features.manifest import prepare_manifest
from feed_platform.features.plan import plan_build
from feed_platform.feed import Feed
from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.lake.seal import close_again, reopen, reopened
from feed_platform.settings import Settings

START = datetime(2026, 1, 1)
DAY = timedelta(days=1)
FEED = Feed(start=date(2026, 1, 1))


def hashes(feed: Feed) -> dict[str, str]:
    """The definitions for one feed."""
    return definition_hashes(prepare_manifest(), dbt_vars(feed, START, START + DAY, START))


def test_a_change_reaches_what_depends_on_it_and_nothing_else(home: Settings) -> None:
    with Lake.of(home).write("built") as con:
        assert changed_models(con, hashes(FEED)) == []
        record_build(con, version_of(con), START, hashes(FEED))
        other_days = definition_hashes(
            prepare_manifest(), dbt_vars(FEED, START + DAY, START + 2 * DAY, START)
        )
        assert changed_models(con, other_days) == []
        shorter = FEED.model_copy(update={"label_window_seconds": 60})
        assert set(changed_models(con, hashes(shorter))) == {"labels", "impressions_scored"}
        slower = FEED.model_copy(update={"feature_delay_minutes": 70})
        changed = set(changed_models(con, hashes(slower)))
        assert {"impression_spine", "user_features", "impression_features"} <= changed
        assert not {"hourly_sums", "labels", "online_user"} & changed


def test_a_build_begins_where_history_was_reopened(home: Settings) -> None:
    lake, today = Lake.of(home), (START + 20 * DAY, START + 21 * DAY)
    with lake.write("built") as con:
        con.execute("insert into raw.seals values (?, now()::timestamp)", [START + 20 * DAY])
        record_build(con, version_of(con), START + 20 * DAY, hashes(FEED))
    assert plan_build(lake, FEED, today, prepare_manifest()).start == START + 20 * DAY
    with lake.write("history") as con:
        reopen(con, START + 5 * DAY + timedelta(hours=7))
    plan = plan_build(lake, FEED, today, prepare_manifest())
    assert (plan.start, plan.end, plan.changed) == (START + 5 * DAY, START + 21 * DAY, ())
    assert "reopened" in str(plan)
    with lake.write("meanwhile") as con:
        reopen(con, START + 3 * DAY)
        close_again(con, plan.reopened)
        waiting = reopened(con)
    assert waiting is not None and waiting.known_from == START + 3 * DAY
