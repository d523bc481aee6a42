"""The raw assets on a real home: whole, again, day by day, and their checks."""

from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from feed_platform.feed import Feed, FeedError, SimulatorSource, load_feed, save_feed
from feed_platform.interactions.records import FeedbackRecord, encode
from feed_platform.interactions.segments import SegmentWriter
from feed_platform.interactions.sources import ingest_sources, init_simulated_feed
from feed_platform.lake import Lake
from feed_platform.settings import Settings

SOURCE = SimulatorSource(days=3, users=40, posts_per_day=6, requests_per_day=25)
TODAY = date(2024, 3, 10)
TABLES = ("raw.users", "raw.posts", "raw.impressions", "raw.engagements", "truth.impressions")
IMPRESSIONS_A_DAY = 250


def _range(first: str, last: str) -> dict[str, Any]:
    start, end = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
    return {"tags": {start: first, end: last}}


EVERY_DAY = _range("2024-03-07", "2024-03-09")


@pytest.fixture
def feed(home: Settings) -> Feed:
    """A simulated feed of three days that ended yesterday, March 9."""
    return init_simulated_feed(home, SOURCE, today=TODAY)


def _materialize(home: Settings, **partitions: str) -> dg.ExecuteInProcessResult:
    # Imported here: the partitions begin at the start of the home's feed.
    from importlib import reload

    from feed_platform.interactions import assets, checks
    from feed_platform.resources import RESOURCES

    definitions = [reload(assets).raw_interactions, checks.raw_checks]
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(definitions, resources=RESOURCES, instance=instance, **partitions)


def _all(home: Settings, sql: str) -> list[tuple[Any, ...]]:
    with Lake.of(home).read() as con:
        return con.execute(sql).fetchall()


def _tables(home: Settings) -> dict[str, list[tuple[Any, ...]]]:
    with Lake.of(home).read() as con:
        return {name: con.execute(f"from {name} order by all").fetchall() for name in TABLES}


def _impressions(home: Settings) -> list[tuple[str, int]]:
    return _all(home, "select known_at::date::varchar, count(*) from raw.impressions group by 1 order by 1")


def test_the_asset_imports_every_day_once(home: Settings, feed: Feed) -> None:
    first = _materialize(home, **EVERY_DAY)
    assert first.success
    assert [count for _, count in _impressions(home)] == [IMPRESSIONS_A_DAY] * 3
    before = _tables(home)
    assert all(before.values())
    results = {
        event.asset_key.to_user_string(): event
        for event in _materializations(_materialize(home, **EVERY_DAY))
    }
    assert _tables(home) == before
    metadata = {name: value.value for name, value in results["raw/impressions"].metadata.items()}
    assert metadata["dagster/row_count"] == metadata["known"] == 3 * IMPRESSIONS_A_DAY
    assert (metadata["inserted"], metadata["quarantined"]) == (0, 0)
    assert {"serving/requests", "serving/candidates"} < results.keys()


def test_the_last_partition_shows_the_table_and_nobody_in_it(home: Settings, feed: Feed) -> None:
    done = [
        one for one in _materializations(_materialize(home, **EVERY_DAY)) if one.asset_key.path[0] == "raw"
    ]
    assert {one.partition for one in done if "volume" in one.metadata} == {"2024-03-09"}
    shown = {one.asset_key.path[1]: one for one in done if "sample" in one.metadata}
    assert shown.keys() == {"users", "posts", "impressions", "engagements"}
    texts = " ".join(str(one.metadata) for one in done)
    people = [name for (name,) in _all(home, "select user_id from raw.users")]
    assert [name for name in people if name in texts] == []
    assert max(len(str(one.metadata)) for one in done) < 10_000


def test_its_checks_pass_on_clean_rows_and_find_a_repeated_one(home: Settings, feed: Feed) -> None:
    silent = ("impressions", "recent")  # of a live feed that ended in 2024
    checks = _checks(_materialize(home, **EVERY_DAY))
    assert len(checks) == 16 and _failed(checks) == {silent}
    with Lake.of(home).write("break it") as con:
        con.execute("insert into raw.impressions from raw.impressions limit 1")
        con.execute(
            "insert into raw.engagements by name select 'x' as engagement_id, 'none' as impression_id"
        )
    broken = _checks(_materialize(home, **EVERY_DAY))
    assert _failed(broken) == {silent, ("impressions", "unique"), ("engagements", "knows_impressions")}


def test_days_filled_in_one_by_one_give_the_tables_of_the_whole(home: Settings, feed: Feed) -> None:
    for day in ("2024-03-08", "2024-03-07", "2024-03-09"):
        _materialize(home, partition_key=day)
    assert [day for day, _ in _impressions(home)] == ["2024-03-07", "2024-03-08", "2024-03-09"]
    one_by_one = _tables(home)
    with Lake.of(home).write("start again") as con:
        for name in TABLES:
            con.execute(f"delete from {name}")
    _materialize(home, **EVERY_DAY)
    assert _tables(home) == one_by_one


def test_the_seal_moves_with_the_present_and_keeps_out_new_history(home: Settings, feed: Feed) -> None:
    at, lake = datetime(2024, 3, 10, 9, 30), Lake.of(home)
    day = timedelta(days=1)
    past = ingest_sources(home, lake, feed, feed.start_at, feed.start_at + day, at)
    assert past.sealed_until == feed.start_at
    present = ingest_sources(home, lake, feed, feed.start_at + day, datetime(9000, 1, 1), at)
    assert present.sealed_until > feed.start_at
    again = ingest_sources(home, lake, feed, feed.start_at, feed.start_at + day, at)
    assert again.raw["impressions"].inserted == 0
    with lake.write("lose a row") as con:
        con.execute("delete from raw.impressions where position = 3")
    with pytest.raises(FeedError, match="as-history"):
        ingest_sources(home, lake, feed, feed.start_at, feed.start_at + day, at)


def test_a_simulated_day_comes_when_it_has_ended(home: Settings, feed: Feed) -> None:
    midday = datetime(2024, 3, 8, 12, 0)
    ingest_sources(home, Lake.of(home), feed, feed.start_at, midday + timedelta(days=5), midday)
    assert _impressions(home) == [("2024-03-07", IMPRESSIONS_A_DAY)]


def test_the_first_live_event_starts_the_clock_of_a_log(home: Settings, feed: Feed) -> None:
    save_feed(home, feed.model_copy(update={"clock": "log", "sources": ()}))
    at, lake = datetime(2024, 3, 10, 9, 30), Lake.of(home)
    ingest_sources(home, lake, load_feed(home), feed.start_at, at, at)
    assert load_feed(home).clock == "log"
    writer = SegmentWriter(home.logs / "feedback", "replica")
    writer.append(
        encode(
            FeedbackRecord(
                event_id="e", event_type="like", user_id="ann", post_id="p", occurred_at=at, received_at=at
            )
        )
    )
    writer.close()
    ingest_sources(home, lake, load_feed(home), feed.start_at, at, at)
    assert load_feed(home).clock == "live"


def _materializations(result: dg.ExecuteInProcessResult) -> list[dg.AssetMaterialization]:
    return result.asset_materializations_for_node("raw_interactions")


def _checks(result: dg.ExecuteInProcessResult) -> list[dg.AssetCheckEvaluation]:
    return list(result.get_asset_check_evaluations())


def _failed(checks: list[dg.AssetCheckEvaluation]) -> set[tuple[str, str]]:
    return {(check.asset_key.path[-1], check.check_name) for check in checks if not check.passed}
