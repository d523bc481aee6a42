"""Over a month of nightly imports, late events, duplicates and outages no feature differs from another's."""

import json
import os
import random
import signal
import subprocess
from datetime import datetime, timedelta

import numpy as np
import pytest

from feed_platform.features.builds import last_build
from feed_platform.features.differences import logged_differences, stored_differences
from feed_platform.features.invocation import dbt_environment, dbt_vars
from feed_platform.features.manifest import DBT
from feed_platform.home import prepare_home
from feed_platform.lake import Lake
from feed_platform.lake.seal import DAY
from feed_platform.settings import Settings
from feed_platform_tests.end_to_end.month import (
    FEED,
    MODELS,
    MONTH,
    START,
    build_days,
    content_hashes,
    live_nights,
    read_world,
    serve,
)
from feed_platform_tests.features.lake_builds import dbt_build, rows_of
from feed_platform_tests.features.oracle import Oracle

VICTIMS = ("hourly_sums", "impression_spine", "user_features", "impression_features")
SERVED_EVERY, CHECKED_EVERY, SAMPLE = 3, 6, 40
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home after its month; what it served was compared with the raw rows on the way."""
    home = Settings(home=tmp_path_factory.mktemp("month"))
    prepare_home(home)
    served = 0
    for night, sealed_until in live_nights(home, SERVED_EVERY):
        if night % CHECKED_EVERY == 0 and served:
            with Lake.of(home).read() as con:
                found = logged_differences(con, FEED, rows=served)
            assert found.vectors == served and found.examples == ()
            served = 0
        served += serve(home, sealed_until)
    return home


def test_the_month_was_as_bad_as_it_should_be(month: Settings) -> None:
    with Lake.of(month).read() as con:
        late, sealed, quarantined = con.execute(
            "select avg(cast(known_at > shown_at + interval 1 hour as int)), "
            "count(*) filter (where known_at in (select sealed_until from raw.seals)), "
            "(select count(*) from quarantine.impressions) from raw.impressions"
        ).fetchone()
    assert late > 0.1 and quarantined > 100, (late, sealed, quarantined)


def test_stored_features_are_those_of_the_raw_rows(month: Settings) -> None:
    with Lake.of(month).read() as con:
        found = stored_differences(con, FEED, rows=2_000)
    assert found.vectors > 1_500 and found.examples == ()


def test_features_and_all_labels_equal_the_plain_recomputation(month: Settings) -> None:
    world = read_world(month)
    oracle = Oracle(world, FEED)
    features = {row["impression_id"]: row for row in rows_of(month, "marts.impression_features")}
    labels = {row["impression_id"]: row for row in rows_of(month, "marts.labels")}
    assert features.keys() == {shown.impression_id for shown in world.impressions}
    late = 0
    for shown in world.impressions:
        if shown.impression_id in labels:
            expected = oracle.labels(shown) | {"matured_at": oracle.deadline(shown)}
            assert {name: labels[shown.impression_id][name] for name in expected} == expected
    for shown in random.Random(1).sample(list(world.impressions), SAMPLE):
        row = features[shown.impression_id]
        stored = oracle.stored(shown.user_id, shown.post_id, oracle.post_shown(shown), oracle.as_of(shown))
        np.testing.assert_equal({name: np.nan if row[name] is None else row[name] for name in stored}, stored)
        late += shown.known_at > shown.shown_at + timedelta(hours=1)
    assert late and len(labels) > 0.8 * len(features)


def test_the_nights_backfills_in_any_order_and_a_full_build_give_the_same_rows(month: Settings) -> None:
    nightly = content_hashes(month)
    with Lake.of(month).read() as con:
        sealed_until = last_build(con).sealed_until
    order = random.Random(2)
    for victim in order.sample(VICTIMS, len(VICTIMS)):
        first = order.randrange(MONTH.days)
        past_last = order.randrange(first + 1, MONTH.days + 1)
        _kill_after(month, (START + first * DAY, START + past_last * DAY), sealed_until, victim)
    for first in order.sample(range(0, MONTH.days, 10), 3):
        build_days(month, (START + first * DAY, START + (first + 10) * DAY), sealed_until)
    assert content_hashes(month) == nightly, "backfilled"
    dbt_build(month, FEED, (START, sealed_until + DAY), sealed_until, "--full-refresh", *MODELS)
    assert content_hashes(month) == nightly, "built in full"


def _kill_after(home: Settings, days: tuple[datetime, datetime], sealed_until: datetime, model: str) -> None:
    """Build some days anew in a process that is killed as soon as a model is written."""
    variables = json.dumps(dbt_vars(FEED, *days, sealed_until))
    build = subprocess.Popen(
        [str(DBT), "build", "--vars", variables, *MODELS],
        env={**os.environ, **dbt_environment(home)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert build.stdout is not None
    for line in build.stdout:
        if "OK created" in line and model in line:
            os.kill(build.pid, signal.SIGKILL)
    assert build.wait() == -signal.SIGKILL, f"{model} was not reached"
