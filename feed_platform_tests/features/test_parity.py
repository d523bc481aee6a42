"""Logged vectors and stored features against a recomputation from raw rows, and what it finds."""

import json
from datetime import timedelta

import dagster as dg
import numpy as np
import polars as pl
import pytest

from feed_platform.features.catalogue import feature_names
from feed_platform.features.checks import no_leakage, parity
from feed_platform.features.differences import logged_differences, shares, stored_differences
from feed_platform.features.keys import key
from feed_platform.features.online import OnlineSnapshot
from feed_platform.features.publishing import publish
from feed_platform.feed import Attributes, Feed, save_feed
from feed_platform.lake import Lake
from feed_platform.resources import Home
from feed_platform.settings import Settings
from feed_platform_tests.features.lake_builds import Engagement, Post, Request, World, insert
from feed_platform_tests.features.test_online import (
    DAY,
    HOUR,
    POSTS,
    START,
    USERS,
    H,
    add_attributes,
    build,
    random_world,
)

FEED = Feed(
    start=START.date(),
    attributes=Attributes(
        users={"country": "category", "zone": "category", "tags": "list"},
        posts={"length": "number", "tags": "list"},
        context={"device": "category", "battery": "number"},
        time_zone="zone",
    ),
)
CONTEXT = {"device": "phone", "battery": 0.3}
REQUESTS = [Request(f"r{number}", H + timedelta(minutes=60 * (number == 0) + 10), H) for number in range(4)]


def add_more_attributes(home: Settings) -> None:
    """Users with time zones, and tags on both sides."""
    add_attributes(home)
    with Lake.of(home).write("more attributes") as con:
        con.execute("alter table raw.users add column zone varchar")
        con.execute("alter table raw.users add column tags varchar[]")
        con.execute("alter table raw.posts add column tags varchar[]")
        con.execute("update raw.users set zone = 'Asia/Kolkata', tags = ['a', 'b'] where user_id <> 'u2'")
        con.execute("update raw.posts set tags = ['b', 'c', 'd'] where post_id < 'p5'")


def log_vectors(home: Settings, snapshot: OnlineSnapshot) -> None:
    """Four requests for every post, one of them an hour late, and what came after them."""
    later = START + 9 * DAY
    insert(home, World(requests=REQUESTS))
    insert(home, World(posts=[Post("p1", "other author", "other topic", START, H + HOUR)]))
    insert(home, random_world(5, H, later))
    with Lake.of(home).write("vectors") as con:
        for request, user in zip(REQUESTS, USERS, strict=False):
            con.execute(
                "update serving.requests set user_id = ?, context = ? where request_id = ?",
                [user, json.dumps(CONTEXT), request.request_id],
            )
            matrix = snapshot.matrix([user], POSTS, np.datetime64(request.requested_at), 1, CONTEXT)
            names = [list(snapshot.names)] * len(POSTS)
            ids = [request.request_id] * len(POSTS)
            rows = pl.DataFrame(
                {"request_id": ids, "post_id": POSTS, "names": names, "vector": matrix.tolist()}
            )
            con.register("rows", rows)
            con.execute("insert into serving.vectors by name select * from rows")
            con.execute("insert into serving.candidates by name select request_id, post_id from rows")
            con.unregister("rows")


def run(check: dg.AssetChecksDefinition) -> dg.AssetCheckResult:
    """A check's result on the home that FEED_HOME names."""
    result = check(Home())
    assert isinstance(result, dg.AssetCheckResult)
    return result


def differing(result: dg.AssetCheckResult) -> dict[str, int]:
    """How many values differ of each feature that differs."""
    found = result.metadata["features that differ"].value
    assert isinstance(found, dict)
    return found


def test_without_anything_logged_or_built_both_checks_pass(home: Settings) -> None:
    save_feed(home, FEED)
    add_more_attributes(home)
    assert (run(parity).passed, run(parity).description) == (True, "nothing logged yet")
    assert (run(no_leakage).passed, run(no_leakage).description) == (True, "nothing built yet")


@pytest.mark.slow
def test_no_number_differs_until_a_vector_or_the_past_is_changed(home: Settings) -> None:
    save_feed(home, FEED)
    posts = [
        Post(post, f"author {number % 5}", f"topic {number % 4}", START + number * HOUR, START)
        for number, post in enumerate(POSTS[:-1])
    ]
    moved = Post("p2", "author 0", "topic 0", START, START + 5 * DAY)
    insert(home, World(posts=[*posts, moved]))
    add_more_attributes(home)
    insert(home, random_world(1, START, H))
    build(home, H)
    log_vectors(home, OnlineSnapshot.open(publish(home, Lake.of(home), FEED)))

    assert run(parity).passed
    assert run(no_leakage).passed
    with Lake.of(home).read() as con:
        logged, stored = logged_differences(con, FEED, 500), stored_differences(con, FEED, 200)
        served = shares(con, FEED)
    assert (logged.found, logged.vectors) == (0, 4 * len(POSTS))
    assert logged.values == logged.vectors * len(feature_names(FEED))
    assert (stored.found, stored.vectors > 100) == (0, True)
    assert served.stale == 0.25
    assert served.unknown_posts == pytest.approx(1 / len(POSTS))
    assert_a_tampered_vector_is_named(home)
    assert_a_changed_past_is_seen(home)


def assert_a_tampered_vector_is_named(home: Settings) -> None:
    """One number of one logged vector changes."""
    name = "user_topic_ctr_7d"
    place = feature_names(FEED).index(name)
    with Lake.of(home).write("tampered") as con:
        con.execute(
            "update serving.vectors set vector = list_transform(vector, (x, i) -> if(i = ?, x + 0.001, x)) "
            "where request_id = 'r2' and post_id = 'p4'",
            [place + 1],
        )
    result = run(parity)
    assert not result.passed
    assert result.metadata["differences"].value == 1
    assert differing(result) == {name: 1}
    assert str(result.metadata["examples"].value).startswith(f"{key('r2')} p4: {name} is ")


def assert_a_changed_past_is_seen(home: Settings) -> None:
    """A click is added to hours that were built already."""
    late = H - 30 * HOUR
    insert(home, World(engagements=[Engagement("late", None, "u1", "p1", "click", None, late, late)]))
    result = run(no_leakage)
    assert not result.passed
    assert {"user_clicks_7d", "post_ctr_7d"} <= set(differing(result))
