"""How the dbt project shows up in Dagster."""

import dagster as dg

from feed_platform.features.assets import feature_tables, online_snapshot


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
    assert online_snapshot.dependency_keys <= feature_tables.keys


def test_every_table_has_a_check_of_its_grain() -> None:
    checked = {check.asset_key for check in feature_tables.check_keys if check.name.startswith("unique_rows")}
    without = {key.path[-1] for key in feature_tables.keys - checked if key.path[0] != "staging"}
    assert without == {"impression_spine", "online_global", "impressions_scored"}
