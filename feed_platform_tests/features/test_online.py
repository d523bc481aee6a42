"""What serving computes from a snapshot is what training reads from the lake, bit for bit."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from feed_platform.features.builds import record_build
from feed_platform.features.catalogue import feature_names
from feed_platform.features.frame import label_names, training_frame
from feed_platform.features.online import OnlineSnapshot, current_snapshot
from feed_platform.features.publishing import publish
from feed_platform.feed import Attributes, Feed, FeedError
from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.learning.cold import Cold, Owner
from feed_platform.learning.dataset import Part
from feed_platform.learning.described import example_columns
from feed_platform.settings import Settings
from feed_platform_tests.features.lake_builds import (
    DAY,
    Engagement,
    Impression,
    Post,
    Request,
    World,
    dbt_build,
    insert,
)

START = datetime(2026, 1, 1)
HOUR = timedelta(hours=1)
H = START + 8 * DAY + 13 * HOUR
FEED = Feed(
    start=START.date(),
    label_window_seconds=3600,
    attributes=Attributes(
        users={"country": "category", "likes": "list", "kind": "category", "tz": "category"},
        posts={"length": "number", "likes": "list", "kind": "category"},
        time_zone="tz",
    ),
)
USERS = [f"u{number}" for number in range(8)]
POSTS = [f"p{number}" for number in range(12)]


def random_world(seed: int, start: datetime, end: datetime, requests: tuple[Request, ...] = ()) -> World:
    """Impressions and clicks at random times; those of requests at their times."""
    rng = np.random.default_rng(seed)

    def shown(number: int, at: datetime, request: Request | None) -> Impression:
        user, post = str(rng.choice(USERS)), str(rng.choice(POSTS))
        return Impression(
            f"s{seed}-{number}", user, post, at, at, request and request.request_id, number % 9 + 1
        )

    seconds = (end - start) / timedelta(seconds=1)
    times = sorted(start + timedelta(seconds=float(offset)) for offset in rng.uniform(0, seconds, 300))
    impressions = [shown(number, at, None) for number, at in enumerate(times)]
    impressions += [
        shown(1000 + number, request.requested_at, request) for number, request in enumerate(requests)
    ]
    clicks = [
        Engagement(
            f"c{one.impression_id}", one.impression_id, one.user_id, one.post_id, "click", None, at, at
        )
        for one in impressions[::3]
        if (at := one.shown_at + timedelta(seconds=20)) < end
    ]
    return World(impressions=impressions, engagements=clicks, requests=requests)


def build(home: Settings, sealed_until: datetime) -> None:
    """Build every day up to the seal and record it."""
    dbt_build(home, FEED, (START, sealed_until + DAY), sealed_until, "--resource-type", "model")
    with Lake.of(home).write("built") as con:
        record_build(con, version_of(con), sealed_until)


def add_attributes(home: Settings) -> None:
    """Users with a country, posts with a length, some without."""
    with Lake.of(home).write("attributes") as con:
        con.execute("alter table raw.users add column country varchar")
        con.execute("alter table raw.posts add column length double")
        con.execute("alter table raw.users add column tz varchar")
        for table in ("raw.users", "raw.posts"):
            con.execute(f"alter table {table} add column likes varchar[]")
            con.execute(f"alter table {table} add column kind varchar")
        for number, user in enumerate(USERS[1:]):
            values = [user, START, f"country {number % 3}" if number % 4 else None]
            con.execute("insert into raw.users (user_id, known_at, country) values (?, ?, ?)", values)
        con.execute("update raw.users set likes = [user_id, 'cats'], kind = 'a', tz = 'Asia/Tokyo'")
        con.execute("update raw.posts set length = len(author_id) * 1.5 where post_id <> 'p3'")
        con.execute("update raw.posts set likes = ['cats'], kind = 'a' where post_id <> 'p4'")


@pytest.mark.slow
def test_a_snapshot_gives_the_features_that_its_requests_are_trained_on(home: Settings) -> None:
    lake = Lake.of(home)
    posts = [
        Post(post, f"author {post}", f"topic {number % 4}", START + number * HOUR, START)
        for number, post in enumerate(POSTS[:-1])
    ]
    insert(home, World(posts=posts))
    add_attributes(home)
    insert(home, random_world(1, START, H))
    build(home, H)
    folder = publish(home, lake, FEED)
    snapshot = OnlineSnapshot.open(folder)

    requests = tuple(Request(f"r{number}", H + timedelta(minutes=10 + number), H) for number in range(40))
    insert(home, random_world(2, H, H + DAY, requests))
    insert(home, World(posts=[Post("p1", "other author", "other topic", START, H + timedelta(minutes=5))]))
    build(home, H + DAY)
    with lake.read() as con:
        frame = training_frame(con, FEED, START, H + 2 * DAY)

    assert frame.height > 300
    assert [column.name for column in example_columns(FEED)] == [*frame.columns, "matured_day"]
    logged = frame.filter(frame["as_of"] == H, frame["request_id"].is_not_null())
    assert logged.height == len(requests)
    users, shown, positions = (logged[name].to_list() for name in ("user_id", "post_id", "position"))
    served = snapshot.matrix(users, shown, logged["shown_at"].to_numpy(), positions)
    trained = logged.select(feature_names(FEED)).to_numpy()
    assert snapshot.names == feature_names(FEED)
    assert served.dtype == trained.dtype == np.float32
    np.testing.assert_array_equal(served, trained)

    assert {str(dtype) for dtype in frame.select(feature_names(FEED)).dtypes} == {"Float32"}
    assert set(frame.select(label_names(FEED)).to_numpy().ravel().tolist()) == {0, 1}
    assert frame["label_click"].sum() > 50
    assert_describes_what_it_holds(snapshot)
    for owner in ("post", "user"):
        assert_forgotten_rows_are_served(snapshot, frame.sort("shown_at"), owner)
    assert_publishing_is_idempotent(home, lake)


def assert_forgotten_rows_are_served(snapshot: OnlineSnapshot, frame: pl.DataFrame, owner: Owner) -> None:
    """Cold rows of the training are what serving gives for somebody unknown, in any order of features."""
    names = tuple(reversed(snapshot.names))
    every = Cold(Part.of(frame, names), FEED, 1.0, 7, ((owner,),))
    matrix = np.concatenate(list(every.batches()))
    assert np.array_equal(matrix[::2], every.part.matrix, equal_nan=True)
    as_of_seal = (frame["as_of"] == H) & frame["request_id"].is_not_null()
    logged = frame.filter(as_of_seal)
    users, posts, positions = (logged[name].to_list() for name in ("user_id", "post_id", "position"))
    somebody = {"user": users, "post": posts, owner: ["nonsense"] * len(logged)}
    served = snapshot.matrix(somebody["user"], somebody["post"], logged["shown_at"].to_numpy(), positions)
    np.testing.assert_array_equal(matrix[1::2][as_of_seal.to_numpy()][:, ::-1], served)


def assert_describes_what_it_holds(snapshot: OnlineSnapshot) -> None:
    """Look-ups of known and unknown posts."""
    assert snapshot.as_of == H
    assert sorted(snapshot.posts) == sorted(POSTS[:-1])
    assert snapshot.knows(snapshot.find(["p1", "p11", "nonsense"])).tolist() == [True, False, False]
    found = snapshot.find(["p1", "nonsense"])
    assert snapshot.topics(found) == ["topic 1", None]
    ctr = snapshot.names.index("post_ctr_28d")
    matrix = snapshot.matrix([None], ["p1", "nonsense"], H, 1)
    assert matrix.shape == (2, len(snapshot.names))
    assert np.array_equal(snapshot.popularity(found), matrix[:, ctr])
    assert not matrix[1, :9].any()


def assert_publishing_is_idempotent(home: Settings, lake: Lake) -> None:
    """The same build published twice: the same folder, an untouched pointer."""
    folder = publish(home, lake, FEED)
    pointer = (home.online / "current.json").read_text()
    assert publish(home, lake, FEED) == folder == current_snapshot(home)
    assert (home.online / "current.json").read_text() == pointer
    assert folder.name in pointer


def test_publishing_without_a_build_says_what_to_do(home: Settings) -> None:
    with pytest.raises(FeedError, match="build_features"):
        publish(home, Lake.of(home), FEED)
