"""Neighbours and lists are what plain Python makes of the same events, and come back from a snapshot."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pytest

from feed_platform.features.builds import record_build
from feed_platform.features.candidates import neighbours
from feed_platform.features.candidates.arrays import read_candidates, read_neighbours
from feed_platform.features.candidates.lists import Candidates
from feed_platform.features.candidates.neighbours import write_neighbours
from feed_platform.features.keys import key
from feed_platform.features.snapshot_arrays import _post_arrays
from feed_platform.feed import Feed, Objective
from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.settings import Settings
from feed_platform_tests.features.lake_builds import DAY, Engagement, Impression, Post, World, insert

START = datetime(2026, 1, 1)
AS_OF = START + 40 * DAY
HOUR = timedelta(hours=1)
FEED = Feed(
    start=START.date(),
    objectives=(
        Objective(event="click"),
        Objective(event="like", weight=3),
        Objective(event="dwell", weight=-1),
    ),
)
USERS, POSTS = [f"u{n}" for n in range(12)], [f"p{n:02}" for n in range(30)]
GONE, OLD, LATE = "p07", "p08", "p09"  # removed; created long ago and never shown; known after the hour
EVENTS = ("click", "like", "hide", "dwell", "share")


def world() -> World:
    """Random events of 40 days and some after them."""
    rng = np.random.default_rng(5)
    posts = [
        Post(post, f"a{n % 5}" if n else None, f"t{n % 4}" if n else None, START + (13 + n) * DAY, START)
        for n, post in enumerate(POSTS)
    ]
    posts[8] = Post(OLD, "a1", "t1", START, START)
    posts[9] = Post(LATE, "a1", "t1", AS_OF, AS_OF + HOUR)
    events = []
    for number in range(900):
        at = START + timedelta(seconds=int(rng.integers(0, 42 * 86_400)))
        user, post = str(rng.choice(USERS)), str(rng.choice([one for one in POSTS if one != OLD]))
        events.append((number, user, post, at, str(rng.choice(EVENTS))))
    return World(
        posts=posts,
        impressions=[Impression(f"i{n}", user, post, at, at) for n, user, post, at, _ in events],
        engagements=[
            Engagement(f"e{n}", None, user, post, event, None, at, at)
            for n, user, post, at, event in events
            if n % 2
        ],
    )


@dataclass(frozen=True)
class Made:
    """A world, its candidates, and the order of its posts in the arrays."""

    world: World
    candidates: Candidates
    ids: Sequence[str | None]
    pairs: Mapping[str, list[str]]

    def names(self, rows: np.ndarray) -> list[str | None]:
        return [self.ids[row] for row in rows]

    def pool(self) -> set[str]:
        return {*POSTS} - {GONE, OLD, LATE}

    def engaged(self, days: int, events: tuple[str, ...] = ("click", "like")) -> Iterator[Engagement]:
        """Engagements with posts of the pool, known in the days before the hour."""
        for one in self.world.engagements:
            is_in_time = AS_OF - days * DAY <= one.known_at < AS_OF
            if is_in_time and one.event_type in events and one.post_id in self.pool():
                yield one


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    home = Settings(home=tmp_path_factory.mktemp("candidates") / "home")
    lake = Lake.of(home)
    events = world()
    insert(home, events)
    with lake.write("removed") as con:
        con.execute("update raw.posts set removed_at = ? where post_id = ?", [AS_OF - HOUR, GONE])
    with lake.write("built") as con:
        record_build(con, version_of(con), AS_OF)
    write_neighbours(lake, FEED)
    with lake.read() as con:
        pairs = con.execute("select post_id, neighbour_id from features.neighbours order by post_id, rank")
        found = defaultdict(list)
        for post, other in pairs.fetchall():
            found[post].append(other)
        snapshot = _post_arrays(con, FEED, AS_OF)
        arrays = read_candidates(con, FEED, AS_OF, snapshot) | read_neighbours(con, snapshot)
    ids = [str(one, "utf-8") or None for one in snapshot["posts.ids"]]
    return Made(events, Candidates(arrays), ids, found)


def latest(events: Iterator[Engagement]) -> dict[str, dict[str, datetime]]:
    """When each person last did something with each post."""
    at: dict[str, dict[str, datetime]] = defaultdict(dict)
    for one in events:
        at[one.user_id or ""][one.post_id] = max(one.known_at, at[one.user_id or ""].get(one.post_id, START))
    return at


def test_neighbours_are_the_posts_that_the_same_people_engage_with(made: Made) -> None:
    of_people = [set(posts) for posts in latest(made.engaged(28)).values()]
    people = Counter(post for posts in of_people for post in posts)
    for post in made.pool():
        together = Counter(other for posts in of_people if post in posts for other in posts - {post})
        similarity = {
            other: round(n / math.sqrt(people[post] * people[other]) * n / (n + neighbours.SHRINKAGE), 12)
            for other, n in together.items()
            if n >= neighbours.LEAST_TOGETHER
        }
        expected = sorted(similarity, key=lambda other: (-similarity[other], key(other)))[: neighbours.KEPT]
        assert made.pairs.get(post, []) == expected
    assert sum(map(len, made.pairs.values())) > 100


def test_a_person_gets_neighbours_of_what_they_engaged_with(made: Made) -> None:
    for user, posts in latest(made.engaged(28)).items():
        newest = sorted(posts, key=lambda post: posts[post], reverse=True)[:20]
        near = {other for post in newest for other in made.pairs.get(post, [])}
        found = made.names(made.candidates.similar(made.candidates.user(key(user))))
        assert set(found) == near and len(found) == len(near)
        assert found[0] == next(iter(made.pairs.get(newest[0], found)))


def test_what_was_seen_and_hidden_is_known(made: Made) -> None:
    hidden = latest(made.engaged(100, ("hide", "dwell")))
    for user in USERS:
        shown = {
            one.post_id
            for one in (*made.world.impressions, *made.world.engagements)
            if one.user_id == user and AS_OF - 7 * DAY <= one.known_at < AS_OF
        }
        found = made.names(made.candidates.left_out(made.candidates.user(key(user))))
        assert set(found) == (shown & made.pool()) | hidden[user].keys()


def test_lists_are_in_order_and_hold_what_may_be_shown(made: Made) -> None:
    created = {post.post_id: post.created_at for post in made.world.posts}
    fresh = made.names(made.candidates.fresh)
    assert set(fresh) == made.pool() and fresh == sorted(fresh, key=lambda post: created[post], reverse=True)
    assert set(made.names(made.candidates.trending)) == {one.post_id for one in made.engaged(7)}
    assert made.names(made.candidates.trending)[0] == best_of(made)
    topics = {post.post_id: post.topic for post in made.world.posts}
    authors = {post.post_id: post.author_id for post in made.world.posts}
    for user, posts in latest(made.engaged(28)).items():
        place = made.candidates.user(key(user))
        for known, listed in ((topics, made.candidates.by_topic), (authors, made.candidates.by_author)):
            liked = {known[post] for post in posts} - {None}
            assert set(made.names(listed(place))) == {post for post in made.pool() if known[post] in liked}


def best_of(made: Made) -> str:
    """The smoothed rate of a week times how much was done, by the definition."""
    week, day = Counter(), Counter()
    for one in made.engaged(7):
        week[one.post_id] += 1
        day[one.post_id] += one.known_at >= AS_OF - DAY
    shown = Counter(
        one.post_id
        for one in made.world.impressions
        if AS_OF - 7 * DAY <= one.known_at < AS_OF and one.post_id in made.pool()
    )
    rate = week.total() / shown.total()
    return max(
        week,
        key=lambda post: (
            (week[post] + 20 * rate) / (shown[post] + 20) * math.log(2 + day[post] + week[post] / 7)
        ),
    )


def test_an_unknown_person_has_no_lists(made: Made) -> None:
    nobody = made.candidates.user(key("nobody"))
    assert not len(made.candidates.left_out(nobody)) and not len(made.candidates.similar(nobody))


def test_a_lake_without_events_has_empty_lists(home: Settings) -> None:
    with Lake.of(home).read() as con:
        snapshot = _post_arrays(con, FEED, AS_OF)
        arrays = read_candidates(con, FEED, AS_OF, snapshot) | read_neighbours(con, snapshot)
    assert not any(Candidates(arrays).counts.values())
