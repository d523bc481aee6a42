"""Random small worlds whose times sit on the borders that features and labels turn on."""

from datetime import datetime, timedelta

from hypothesis import strategies as st

from feed_platform.feed import EVENT_TYPES, Feed
from feed_platform_tests.features.lake_builds import Engagement, Impression, Post, Request, World

START = datetime(2026, 1, 1)
DAYS = 10
SEAL = START + timedelta(days=DAYS, hours=5)
FEED = Feed(start=START.date(), label_window_seconds=6 * 3600, label_delay_seconds=3600)
HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)

# In the hour: its first instants, either side of the publishing delay, its last.
OFFSETS = [
    timedelta(0),
    MICROSECOND,
    10 * 60 * timedelta(seconds=1) - MICROSECOND,
    timedelta(minutes=10),
    timedelta(minutes=30),
    HOUR - MICROSECOND,
]
USERS = ["ada", "bob", None]
POSTS = ["p1", "p2", "never heard of"]
TOPICS = ["cats", "dogs", None]


def times(days: int = DAYS) -> st.SearchStrategy[datetime]:
    """Instants of the first days; two hours in the day, so that users meet posts again."""
    return st.builds(
        lambda day, hour, offset: START + timedelta(days=day) + hour * HOUR + offset,
        st.integers(0, days - 1),
        st.sampled_from([0, 1, 9, 10, 23]),
        st.sampled_from(OFFSETS),
    )


def learnt(own: datetime) -> st.SearchStrategy[datetime]:
    """When an event becomes known: at once, late, or with an import hours later, at its seal."""
    late = st.sampled_from(
        [timedelta(0)] * 6 + [MICROSECOND, 5 * HOUR, 7 * HOUR, 25 * HOUR, timedelta(days=8)]
    )
    sealed = own.replace(minute=0, second=0, microsecond=0)
    known = late.map(lambda delay: own + delay) | st.integers(1, 12).map(lambda hours: sealed + hours * HOUR)
    return known.map(lambda instant: min(instant, SEAL - MICROSECOND))


@st.composite
def worlds(draw: st.DrawFn, impressions: int = 60, engagements: int = 60) -> World:
    """A world of a few users and posts with many coincidences."""
    posts = draw(st.lists(_posts(), max_size=8))
    requests = [_request(number, draw(times()), draw(st.integers(0, 2))) for number in range(6)]
    shown = [draw(_impressions(number, requests)) for number in range(impressions)]
    done = [draw(_engagements(number, shown)) for number in range(engagements)]
    return World(posts, shown, done, requests)


def is_rich(world: World) -> bool:
    """Whether a world is worth a build: hypothesis begins with the emptiest ones."""
    return len({shown.shown_at for shown in world.impressions}) > 20 and len(world.posts) > 3


def _posts() -> st.SearchStrategy[Post]:
    known = st.just(START) | times(4)
    return st.builds(
        Post,
        st.sampled_from(POSTS[:2]),
        st.sampled_from(["ada", "ann", None]),
        st.sampled_from(TOPICS),
        st.none() | times(3),
        known,
        st.none() | st.just(START) | st.just(START + HOUR),
    )


def _request(number: int, at: datetime, hours_back: int) -> Request:
    return Request(f"r{number}", at, at.replace(minute=0, second=0, microsecond=0) - hours_back * HOUR)


@st.composite
def _impressions(draw: st.DrawFn, number: int, requests: list[Request]) -> Impression:
    request = draw(st.none() | st.sampled_from(requests))
    at = request.requested_at if request else draw(times())
    return Impression(
        f"i{number:03}",
        draw(st.sampled_from(USERS)),
        draw(st.sampled_from(POSTS)),
        at,
        draw(learnt(at)),
        request.request_id if request else None,
        draw(st.integers(1, 9)),
    )


@st.composite
def _engagements(draw: st.DrawFn, number: int, impressions: list[Impression]) -> Engagement:
    target = draw(st.sampled_from(impressions))
    after = draw(
        st.sampled_from([timedelta(0), -MICROSECOND, HOUR, 6 * HOUR - MICROSECOND, 6 * HOUR, 30 * HOUR])
    )
    event_type = draw(st.sampled_from((*EVENT_TYPES[:3], "dwell", "click")))
    value = draw(st.sampled_from([None, 0.0, 1499.5, 250_000_001.0])) if event_type == "dwell" else None
    at = max(target.shown_at + after, START)
    impression_id = draw(st.sampled_from([target.impression_id, None, None, "unseen"]))
    known_at = draw(learnt(at))
    return Engagement(
        f"e{number:03}",
        impression_id,
        target.user_id,
        target.post_id,
        event_type,
        value,
        at,
        max(known_at, at),
    )
