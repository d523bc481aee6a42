"""How the dbt project shows up in Dagster."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from feed_platform.features.assets import feature_tables, online_snapshot
from feed_platform.features.candidates.assets import neighbours
from feed_platform.feed import SimulatorSource
from feed_platform.interactions.sources import ingest_sources, init_simulated_feed
from feed_platform.lake import Lake
from feed_platform.lake.seal import DAY
from feed_platform.partitions import DAY_FORMAT, RANGE_END, RANGE_START
from feed_platform.resources import Home
from feed_platform.settings import Settings

TINY = SimulatorSource(days=3, users=30, posts_per_day=5, requests_per_day=20, positions=4, candidates=8)


def test_models_are_assets_by_schema_and_name_downstream_of_the_raw_tables() -> None:
    assert dg.AssetKey(["marts", "impression_features"]) in feature_tables.keys
    assert {key.path[0] for key in feature_tables.keys} == {"staging", "features", "marts"}
    upstream = feature_tables.dependency_keys - feature_tables.keys
    assert upstream == {
        dg.AssetKey(path)
        for path in (
            ["raw", "posts"],
            ["raw", "impressions"],
            ["raw", "engagements"],
            ["serving", "requests"],
            ["serving", "candidates"],
        )
    }
    assert set(feature_tables.group_names_by_key.values()) == {"features"}
    assert neighbours.dependency_keys <= feature_tables.keys
    assert online_snapshot.dependency_keys <= feature_tables.keys | neighbours.keys
    assert {*neighbours.group_names_by_key.values()} == {"features"}, "refresh and build_features make both"


def test_every_table_has_a_check_of_its_grain() -> None:
    checked = {check.asset_key for check in feature_tables.check_keys if check.name.startswith("unique_rows")}
    without = {key.path[-1] for key in feature_tables.keys - checked if key.path[0] != "staging"}
    assert without == {"impression_spine", "online_global", "impressions_scored"}


@pytest.mark.slow
def test_changed_definitions_are_built_anew_over_all_days(home: Settings) -> None:
    feed = init_simulated_feed(home, TINY, today=(datetime.now(UTC) - 2 * DAY).date())
    lake, last = Lake.of(home), feed.start_at + 2 * DAY
    ingest_sources(home, lake, feed, feed.start_at, last + 4 * DAY)

    def build(first: datetime) -> list[tuple[object, ...]]:
        days = {RANGE_START: f"{first:{DAY_FORMAT}}", RANGE_END: f"{last:{DAY_FORMAT}}"}
        assert dg.materialize([feature_tables], tags=days, resources={"home": Home()}).success
        with lake.read() as con:
            return con.execute("select * from marts.impression_features order by impression_id").fetchall()

    built = build(feed.start_at)
    with lake.write("as if two definitions had been others") as con:
        con.execute("delete from marts.impression_features where known_day < ?", [last])
        con.execute(
            "update features.definitions set definition = 'another' "
            "where model in ('impression_features', 'post_features')"
        )
    assert len(built) > 150 and build(last) == built
