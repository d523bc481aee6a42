"""Simulated days. Any day can be made alone, and is always the same."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

import numpy as np

from feed_platform.feed import FeedError, SimulatorSource
from feed_platform.interactions.batch import Batch
from feed_platform.interactions.simulator.behaviour import (
    MONDAY,
    Seen,
    act,
    chances,
    week_wave,
)
from feed_platform.interactions.simulator.delivery import deliver
from feed_platform.interactions.simulator.frames import (
    engagement_rows,
    impression_rows,
    post_rows,
    truth_rows,
    user_ids,
    user_rows,
)
from feed_platform.interactions.simulator.policy import Slates, draw_slates
from feed_platform.interactions.simulator.world import DAY, HOUR, TICK, Floats, Ints, Posts, Times, World

# Relative number of requests by hour of the day: quiet nights, busy evenings.
HOUR_SHARES = np.array([3, 2, 1, 1, 1, 2, 4, 6, 6, 5, 5, 5, 6, 6, 5, 5, 5, 6, 8, 9, 10, 9, 7, 5]) / 122
POSITION_TIME = np.timedelta64(1_500, "ms")
PILOT_DAYS, PILOT_REQUESTS = 28, 500
INTERCEPT_RANGE, INTERCEPT_PRECISION = 50.0, 1e-9


@dataclass(frozen=True)
class Requests:
    """A day's requests in order of time: who asked, when, and what they were given."""

    user: Ints
    asked_at: Times
    slates: Slates


def simulate(source: SimulatorSource, start: date) -> Iterator[Batch]:
    """The source's days in order, one batch each."""
    return (simulate_day(source, start, day) for day in range(source.days))


def simulate_day(source: SimulatorSource, start: date, day: int) -> Batch:
    """What happened on one day, the same batch as `simulate` gives; day 0 is the first.

    Every time of its impressions and engagements lies within the day; a live source's rows also
    say when they were received, which may be later. Users and posts bring `known_at`, those of a
    live source `received_at`; day 0 also brings the founders and the posts from before the start.
    """
    world = world_of(source, start)
    posts = world.stock(day)
    requests = draw_requests(world, day, posts)
    last = world.midnight(day + 1) - TICK
    seen = _seen(requests, source.positions, last)
    truth = chances(world, day, posts, seen)
    impressions = impression_rows(world, day, posts, seen, requests.slates.propensity)
    actions = act(world.random("behaviour", day), posts, seen, truth)
    happened = Batch(
        users=user_rows(world, day),
        posts=post_rows(world, posts if day == 0 else world.posts(day)),
        impressions=impressions,
        engagements=engagement_rows(impressions, actions, last),
        truth=truth_rows(impressions, truth, world.users.is_bot[seen.user]),
    )
    return deliver(world, day, happened)


def bots(source: SimulatorSource, start: date) -> list[str]:
    """The ids of the users who are bots."""
    return user_ids(np.flatnonzero(world_of(source, start).users.is_bot)).to_list()


@lru_cache(maxsize=2)
def world_of(source: SimulatorSource, start: date) -> World:
    """The source's world, with the intercept that gives its click rate."""
    world = World.of(source, start)
    return world if source.click_rate is None else replace(world, intercept=_intercept(source, start))


def draw_requests(world: World, day: int, posts: Posts) -> Requests:
    """Who asks for a feed, when, and what it ranks."""
    random, users, count = world.random("requests", day), world.users, _request_count(world, day)
    activity = np.cumsum(world.activity(day))
    who = np.searchsorted(activity, random.random(count) * activity[-1], side="right")
    hour = np.searchsorted(np.cumsum(HOUR_SHARES), random.random(count), side="right")
    moment = random.random(count)
    span = np.where(users.is_bot[who], 24 * moment, np.minimum(hour, 23) + moment)
    asked_at = world.midnight(day) + (span * (HOUR / TICK)).astype("timedelta64[us]")
    joining = users.joined_at[who] > asked_at
    rest = (world.midnight(day + 1) - users.joined_at[who]) * random.random(count)
    asked_at = np.where(joining, users.joined_at[who] + rest, asked_at)
    order = np.argsort(asked_at, kind="stable")
    who, asked_at = who[order], asked_at[order]
    return Requests(who, asked_at, draw_slates(world, day, posts, who, asked_at))


def _request_count(world: World, day: int) -> int:
    noon = (world.midnight(day) + 12 * HOUR - MONDAY) / DAY
    wave = float(week_wave(noon))
    return max(1, round(world.source.requests_per_day * (1 + world.source.week_cycle * wave)))


def _seen(requests: Requests, positions: int, last: np.datetime64) -> Seen:
    """One row for each shown post, request by request, from the top of the slate down."""
    shown = requests.slates.post[:, :positions]
    count, positions = shown.shape
    place = np.tile(np.arange(positions), count)
    return Seen(
        user=np.repeat(requests.user, positions),
        post=shown.ravel(),
        shown_at=np.minimum(np.repeat(requests.asked_at, positions) + place * POSITION_TIME, last),
        position=place + 1,
    )


def _intercept(source: SimulatorSource, start: date) -> float:
    """The intercept that gives people the source's click rate, without drift, found by bisection.

    The rate is that of pilot requests, some on each of a few days all over the log.

    Raises:
        FeedError: positions further down are looked at too seldom for the rate.
    """
    assert source.click_rate is not None
    undrifted = {"concept_drift_day": None, "data_drift_day": None, "requests_per_day": PILOT_REQUESTS}
    pilot = World.of(source.model_copy(update=undrifted), start)
    days = np.unique(np.linspace(0, source.days - 1, PILOT_DAYS).astype(int))
    parts = [_pilot(pilot, int(day)) for day in days]
    examined, odds = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    if source.click_rate >= examined.mean():
        raise FeedError(
            f"click_rate {source.click_rate} can't be reached: people look at {examined.mean():.2f} of what "
            "they are shown: choose a lower click_rate, position_bias or number of positions"
        )
    low, high = -INTERCEPT_RANGE, INTERCEPT_RANGE
    while high - low > INTERCEPT_PRECISION:
        middle = (low + high) / 2
        rate = (examined / (1 + np.exp(-middle) / odds)).mean()
        low, high = (middle, high) if rate < source.click_rate else (low, middle)
    return (low + high) / 2


def _pilot(world: World, day: int) -> tuple[Floats, Floats]:
    """Of people's impressions on a day: the probability of a look, and the odds without intercept."""
    posts = world.stock(day)
    seen = _seen(draw_requests(world, day, posts), world.source.positions, world.midnight(day + 1))
    truth = chances(world, day, posts, seen)
    people = ~world.users.is_bot[seen.user]
    appeal = truth.appeal[people]
    return truth.click[people] / appeal, appeal / (1 - appeal) * np.exp(-world.intercept)
