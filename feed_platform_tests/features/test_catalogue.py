"""The catalogue in Python and the columns in dbt are the same."""

import json
from datetime import date
from pathlib import Path

from feed_platform.features.catalogue import (
    GROUPS,
    catalogue,
    entity_of,
    feature_names,
    popularity_name,
    stored_names,
)
from feed_platform.features.described import described_columns
from feed_platform.features.manifest import prepare_manifest
from feed_platform.features.on_demand import ON_DEMAND
from feed_platform.features.project import measures
from feed_platform.feed import Attributes, Feed, Objective
from feed_platform.lake import Lake
from feed_platform.settings import Settings
from feed_platform_tests.features.lake_builds import dbt_build, rows_of
from feed_platform_tests.features.worlds import SEAL, START

FEED = Feed(
    start=START.date(),
    event_types=("dwell", "like", "purchase"),
    objectives=(Objective(event="purchase"),),
    attributes=Attributes(
        users={"country": "category", "tags": "list", "zone": "category"},
        posts={"length": "number", "tags": "list"},
        context={"device": "category"},
        time_zone="zone",
    ),
)


def test_a_name_tells_the_entity() -> None:
    told = {feature.name: feature.of if feature.of in GROUPS else None for feature in catalogue(FEED)}
    assert {name: entity_of(name) for name in told} == told


def test_dbt_builds_what_the_catalogue_names_for_a_feed_of_other_events(home: Settings) -> None:
    dbt_build(home, FEED, (START, SEAL), SEAL, "--resource-type", "model")
    assert measures(FEED) == ("impressions", "likes", "purchases", "dwell_ms")
    stored = [name for group in GROUPS for name in stored_names(group, FEED)]
    assert _columns(home, "marts", "impression_features")[-len(stored) - 1 : -1] == stored
    assert_dagster_shows_the_columns_that_there_are(home)
    for group in GROUPS:
        assert _columns(home, "features", f"online_{group}")[1:-1] != []
        assert set(stored_names(group, FEED)) <= set(_columns(home, "features", f"online_{group}"))


def assert_dagster_shows_the_columns_that_there_are(home: Settings) -> None:
    """Names and types of every table, each column with its meaning."""
    models = json.loads(prepare_manifest().read_text())["nodes"].values()
    for model in (one for one in models if one["resource_type"] == "model"):
        described = list(described_columns(model, FEED))
        assert all(column.description for column in described)
        with Lake.of(home).read() as con:
            rows = con.execute(f"describe {model['schema']}.{model['name']}").fetchall()
        assert {one.name: one.type for one in described} == {row[0]: row[1].lower() for row in rows}, model[
            "name"
        ]


def _columns(home: Settings, schema: str, table: str) -> list[str]:
    found = rows_of(
        home,
        f"(select column_index, column_name from duckdb_columns() where schema_name = '{schema}' "
        f"and table_name = '{table}' and database_name = 'lake')",
    )
    return [row["column_name"] for row in found]


def test_what_a_request_brings_comes_last() -> None:
    names = feature_names(FEED)
    assert len(set(names)) == len(names)
    assert names[-12:] == (
        *ON_DEMAND,
        "local_hour",
        "context_device",
        "user_attr_country",
        "user_attr_tags",
        "user_attr_zone",
        "post_attr_length",
        "post_attr_tags",
        "match_tags",
    )


def test_posts_are_popular_by_the_first_objectives_rate() -> None:
    assert popularity_name(Feed(start=date(2026, 1, 1))) == "post_ctr_28d"
    assert popularity_name(FEED) == "post_purchase_rate_28d"
    assert popularity_name(FEED) in feature_names(FEED)


def test_every_feature_says_what_it_is() -> None:
    for feature in catalogue(FEED):
        assert feature.definition and feature.null, feature


def test_the_guide_lists_every_feature_of_the_default_feed() -> None:
    guide = (Path(__file__).parents[2] / "docs/features.md").read_text()
    for feature in catalogue(Feed(start=date(2026, 1, 1))):
        assert f"| {feature.name} | {feature.of} |" in guide and feature.definition in guide, feature
