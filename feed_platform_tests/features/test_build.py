"""Every feature and label that dbt builds, against a recomputation from the raw rows in plain Python."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from feed_platform.features.online import OnlineSnapshot
from feed_platform.features.publishing import publish
from feed_platform.feed import Feed, Objective
from feed_platform.home import prepare_home
from feed_platform.lake import Lake
from feed_platform.settings import Settings
from feed_platform_tests.features.lake_builds import (
    DAY,
    Engagement,
    Impression,
    World,
    build_open,
    dbt_build,
    insert,
    rows_of,
)
from feed_platform_tests.features.oracle import Oracle
from feed_platform_tests.features.worlds import (
    DAYS,
    FEED,
    MICROSECOND,
    POSTS,
    SEAL,
    START,
    USERS,
    is_rich,
    worlds,
)

EVERYTHING = (START, SEAL + DAY)
few_builds = settings(
    max_examples=2,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def new_home(folder: Path) -> Settings:
    """A fresh home for one example."""
    home = Settings(home=folder)
    prepare_home(home)
    return home


def build(home: Settings, days: tuple[datetime, datetime], sealed_until: datetime, *arguments: str) -> None:
    """Build days of the worlds' feed, and what the last build left open."""
    build_open(home, FEED, days, sealed_until, *arguments)


@pytest.mark.slow
@few_builds
@given(world=worlds())
def test_features_labels_and_snapshot_equal_a_recomputation(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assume(is_rich(world))
    home, oracle = new_home(tmp_path_factory.mktemp("home")), Oracle(world, FEED)
    insert(home, world)
    build(home, EVERYTHING, SEAL)

    features = {row["impression_id"]: row for row in rows_of(home, "marts.impression_features")}
    assert features.keys() == {shown.impression_id for shown in world.impressions}
    for shown in world.impressions:
        row, post = features[shown.impression_id], oracle.post_shown(shown)
        expected = oracle.stored(shown.user_id, shown.post_id, post, oracle.as_of(shown))
        assert set(expected) < set(row)
        np.testing.assert_equal(
            {name: np.nan if row[name] is None else row[name] for name in expected}, expected
        )
        facts = {
            "as_of": oracle.as_of(shown),
            "topic": post and post.topic,
            "created_at": post and post.created_at,
        }
        assert {name: row[name] for name in facts} == facts

    labels = {row["impression_id"]: row for row in rows_of(home, "marts.labels")}
    matured = [shown for shown in world.impressions if oracle.deadline(shown) <= SEAL]
    assert labels.keys() == {shown.impression_id for shown in matured}
    for shown in matured:
        expected = oracle.labels(shown) | {"matured_at": oracle.deadline(shown)}
        assert {name: labels[shown.impression_id][name] for name in expected} == expected

    snapshot = OnlineSnapshot.open(publish(home, Lake.of(home), FEED))
    for user in [*USERS, "stranger"]:
        matrix = snapshot.matrix([user], POSTS, SEAL, 1)
        for row, post_id in zip(matrix, POSTS, strict=True):
            post = oracle.version(post_id, SEAL - MICROSECOND)
            expected = oracle.stored(user, post_id, post, SEAL)
            served = dict(zip(snapshot.names, row, strict=True))
            assert list(expected) != [] and set(served) > set(expected)
            np.testing.assert_equal(
                {name: served[name] for name in expected},
                {name: np.float32(value) for name, value in expected.items()},
            )


@pytest.mark.slow
@few_builds
@given(world=worlds(), data=st.data())
def test_days_built_one_by_one_as_they_close_equal_one_full_build(
    world: World, data: st.DataObject, tmp_path_factory
) -> None:
    assume(is_rich(world))
    home = new_home(tmp_path_factory.mktemp("home"))
    tables = ("impression_features", "labels")
    models = ("--select", "+impression_features", "+labels", "--resource-type", "model")
    seals = [
        START + 3 * DAY + timedelta(hours=7),
        START + 3 * DAY + timedelta(hours=8),
        START + 6 * DAY,
        SEAL,
    ]
    before = datetime.min
    for sealed_until in seals:
        insert(home, world.known(before, sealed_until))
        day = (sealed_until - MICROSECOND).replace(hour=0, minute=0, second=0, microsecond=0)
        build(home, (day, day + DAY), sealed_until, *models)
        before = sealed_until
    again = START + data.draw(st.integers(0, DAYS - 1)) * DAY
    build(home, (again, again + DAY), SEAL, *models)
    piecemeal = {table: rows_of(home, f"marts.{table}") for table in tables}

    dbt_build(home, FEED, EVERYTHING, SEAL, "--full-refresh", *models)
    assert piecemeal == {table: rows_of(home, f"marts.{table}") for table in tables}


@pytest.mark.slow
@few_builds
@given(world=worlds(), other=worlds())
def test_replacing_all_that_became_known_later_changes_no_feature_before(
    world: World, other: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assume(is_rich(world) and is_rich(other))
    instant = START + timedelta(days=5, hours=10)
    past, later = world.known(datetime.min, instant), renamed(other).known(instant, datetime.max)
    found = []
    for future in (world.known(instant, datetime.max), later):
        home = new_home(tmp_path_factory.mktemp("home"))
        insert(home, past)
        insert(home, future)
        build(home, EVERYTHING, SEAL, "--select", "+impression_features", "--resource-type", "model")
        rows = rows_of(home, "marts.impression_features")
        found.append([row for row in rows if row["as_of"] <= instant and row["attributes_at"] < instant])
    mine = {shown.impression_id for shown in past.impressions}
    before, after = ([row for row in rows if row["impression_id"] in mine] for rows in found)
    assert len(before) > 10
    np.testing.assert_equal(after, before)


def renamed(world: World) -> World:
    """The same rows under ids of their own."""

    def own(key: str | None) -> str | None:
        return key and f"other {key}"

    return World(
        world.posts,
        [
            replace(one, impression_id=own(one.impression_id), request_id=own(one.request_id))
            for one in world.impressions
        ],
        [
            replace(one, engagement_id=own(one.engagement_id), impression_id=own(one.impression_id))
            for one in world.engagements
        ],
        [replace(one, request_id=own(one.request_id)) for one in world.requests],
    )


def test_a_day_whose_rows_are_gone_ends_empty(home: Settings) -> None:
    days = [START, START + DAY]
    insert(home, World(impressions=[Impression(f"i{day:%d}", "ada", "p1", day, day) for day in days]))
    models = ("--select", "+impression_features", "--resource-type", "model")
    build(home, (START, START + 2 * DAY), START + 2 * DAY, *models)
    with Lake.of(home).write("erase") as con:
        con.execute("delete from raw.impressions where impression_id = 'i02'")
    build(home, (START + DAY, START + 2 * DAY), START + 2 * DAY, *models)
    assert [row["impression_id"] for row in rows_of(home, "marts.impression_features")] == ["i01"]


@pytest.mark.slow
def test_a_feed_whose_event_types_are_all_its_own_builds_and_passes_its_checks(home: Settings) -> None:
    feed = Feed(start=START.date(), clock="log", event_types=("save",), objectives=(Objective(event="save"),))
    shown = [Impression(f"i{day:%d}", "ada", "p1", day, day) for day in (START, START + DAY)]
    saved = Engagement("e1", "i01", "ada", "p1", "save", None, START, START)
    insert(home, World(impressions=shown, engagements=[saved]))
    build_open(home, feed, (START, START + 2 * DAY), START + 2 * DAY, "--exclude-resource-type", "unit_test")
    (row,) = [row for row in rows_of(home, "marts.impression_features") if row["impression_id"] == "i02"]
    assert row["post_saves_28d"] == 1 and row["post_save_rate_28d"] > 0 and "post_clicks_28d" not in row
