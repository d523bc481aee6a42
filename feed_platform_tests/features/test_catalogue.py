"""The catalogue in Python and the columns in dbt are the same."""

from datetime import date

import yaml

from feed_platform.features.catalogue import GROUPS, MEASURES, WINDOWS, feature_names, stored_names
from feed_platform.features.manifest import PROJECT
from feed_platform.features.on_demand import ON_DEMAND
from feed_platform.feed import EVENT_TYPES, Attributes, Feed


def test_dbt_builds_what_the_catalogue_names() -> None:
    variables = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    assert tuple(variables["groups"]) == GROUPS
    assert tuple(variables["windows"]) == WINDOWS
    assert (*variables["measures"], *variables["totals"]) == MEASURES
    assert tuple(variables["label_events"]) == EVENT_TYPES


def test_the_mart_has_every_stored_column_in_the_catalogues_order() -> None:
    model = yaml.safe_load((PROJECT / "models/marts/impression_features.yml").read_text())["models"][0]
    stored = [name for group in GROUPS for name in stored_names(group)]
    assert [column["name"] for column in model["columns"]][-len(stored) :] == stored


def test_declared_attributes_come_last() -> None:
    feed = Feed(
        start=date(2026, 1, 1),
        attributes=Attributes(users={"country": "category"}, posts={"length": "number"}),
    )
    names = feature_names(feed)
    assert len(set(names)) == len(names) == 80 + 4 + 2
    assert names[-6:] == (*ON_DEMAND, "user_attr_country", "post_attr_length")
