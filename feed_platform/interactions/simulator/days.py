"""Simulated days as batches of raw rows. Any day can be made alone, and is always the same."""

from collections.abc import Iterator
from datetime import date

import numpy as np
import polars as pl

from feed_platform.feed import SimulatorSource
from feed_platform.interactions.batch import Batch
from feed_platform.interactions.simulator.behaviour import Actions, Seen, act, appeal, examination
from feed_platform.interactions.simulator.policy import POLICY, PROPENSITY_KIND, draw_slates, hourly_chances
from feed_platform.interactions.simulator.world import (
    COUNTRIES,
    DEVICES,
    FORMATS,
    HOUR,
    TOPICS,
    Floats,
    Ints,
    Posts,
    Times,
    World,
)

# Relative number of requests by hour of the day: quiet nights, busy evenings.
HOUR_SHARES = np.array([3, 2, 1, 1, 1, 2, 4, 6, 6, 5, 5, 5, 6, 6, 5, 5, 5, 6, 8, 9, 10, 9, 7, 5]) / 122
POSITION_TIME = np.timedelta64(1_500, "ms")
TICK = np.timedelta64(1, "us")


def simulate(source: SimulatorSource, start: date) -> Iterator[Batch]:
    """The source's days in order, one batch each."""
    world = World.of(source, start)
    return (_batch(world, day) for day in range(source.days))


def simulate_day(source: SimulatorSource, start: date, day: int) -> Batch:
    """One day alone, the same batch as `simulate` gives; day 0 is the first.

    Every time of its impressions and engagements lies within the day. Users and posts bring
    `known_at`; day 0 also brings the founders and the posts from before the start.
    """
    return _batch(World.of(source, start), day)


def _batch(world: World, day: int) -> Batch:
    random, posts = world.random("requests", day), world.candidates(day)
    asking, asked_at = _requests(world, day, random)
    hours = ((asked_at - world.midnight(day)) // HOUR).astype(np.int64)
    shown, propensity = draw_slates(random, hourly_chances(posts, world.midnight(day)), hours)
    seen = _seen(asking, asked_at, shown, world.midnight(day + 1) - TICK)
    appealing = appeal(world.users, posts, seen)
    impressions = _impressions(world, day, posts, seen, propensity)
    actions = act(random, posts, seen, appealing)
    return Batch(
        users=_user_rows(world, day),
        posts=_post_rows(world, day),
        impressions=impressions,
        engagements=_engagements(impressions, actions, world.midnight(day + 1) - TICK),
        truth=impressions.select(
            "impression_id", pl.Series("click_probability", examination(seen.position) * appealing)
        ),
    )


def _requests(world: World, day: int, random: np.random.Generator) -> tuple[Ints, Times]:
    """Who asks for a feed, and when, in order of time: (requests,) each."""
    users, count = world.users, world.source.requests_per_day
    here = np.flatnonzero(users.joined_at < world.midnight(day + 1))
    activity = np.cumsum(users.activity[here])
    who = here[np.searchsorted(activity, random.random(count) * activity[-1], side="right")]
    hour = np.searchsorted(np.cumsum(HOUR_SHARES), random.random(count), side="right")
    span = np.minimum(hour, 23) + random.random(count)
    asked_at = world.midnight(day) + (span * (HOUR / TICK)).astype("timedelta64[us]")
    joining = users.joined_at[who] > asked_at
    rest = (world.midnight(day + 1) - users.joined_at[who]) * random.random(count)
    asked_at = np.where(joining, users.joined_at[who] + rest, asked_at)
    order = np.argsort(asked_at, kind="stable")
    return who[order], asked_at[order]


def _seen(asking: Ints, asked_at: Times, shown: Ints, last: np.datetime64) -> Seen:
    """One row for each shown post, request by request, from the top of the slate down."""
    requests, positions = shown.shape
    place = np.tile(np.arange(positions), requests)
    return Seen(
        user=np.repeat(asking, positions),
        post=shown.ravel(),
        shown_at=np.minimum(np.repeat(asked_at, positions) + place * POSITION_TIME, last),
        position=place + 1,
    )


def _impressions(world: World, day: int, posts: Posts, seen: Seen, propensity: Floats) -> pl.DataFrame:
    date_text = str(world.midnight(day).astype("datetime64[D]")).replace("-", "")
    request = pl.Series(np.repeat(np.arange(len(propensity)), propensity.shape[1]))
    request_id = _ids(f"{date_text}-", request.to_numpy(), 6)
    return pl.DataFrame(
        {
            "impression_id": _joined(request_id, _ids("", seen.position, 2)),
            "request_id": request_id,
            "surface": _constant("home", len(seen)),
            "user_id": _user_ids(seen.user),
            "post_id": _post_ids(posts.number[seen.post]),
            "shown_at": seen.shown_at,
            "position": seen.position.astype(np.int32),
            "propensity": propensity.ravel(),
            "propensity_kind": _constant(PROPENSITY_KIND, len(seen)),
            "policy": _constant(POLICY, len(seen)),
            "context": _names([f'{{"device": "{d}"}}' for d in DEVICES], world.users.device[seen.user]),
        }
    )


def _engagements(impressions: pl.DataFrame, actions: list[Actions], last: np.datetime64) -> pl.DataFrame:
    """Every action as a row; what would happen after midnight happens just before it."""
    found = impressions[np.concatenate([kind.impression for kind in actions])]
    event_type = pl.concat([_constant(kind.event_type, len(kind.impression)) for kind in actions])
    return found.select(
        _joined(found["impression_id"], event_type).alias("engagement_id"),
        "impression_id",
        "user_id",
        "post_id",
        event_type.alias("event_type"),
        pl.Series("value", np.concatenate([kind.value for kind in actions])).fill_nan(None),
        pl.Series("occurred_at", np.minimum(np.concatenate([kind.occurred_at for kind in actions]), last)),
    )


def _user_rows(world: World, day: int) -> pl.DataFrame:
    users = world.users
    joined = (users.joined_at >= world.midnight(day)) & (users.joined_at < world.midnight(day + 1))
    who = np.flatnonzero(joined)
    return pl.DataFrame(
        {
            "user_id": _user_ids(who),
            "country": _names(COUNTRIES, users.country[who]),
            "device": _names(DEVICES, users.device[who]),
            "known_at": users.joined_at[who],
        }
    )


def _post_rows(world: World, day: int) -> pl.DataFrame:
    posts = world.candidates(day) if day == 0 else world.posts(day)
    return pl.DataFrame(
        {
            "post_id": _post_ids(posts.number),
            "author_id": _ids("author-", posts.author, 4),
            "topic": _names(TOPICS, posts.topic),
            "created_at": posts.created_at,
            "format": _names(FORMATS, posts.format),
            "length_seconds": posts.length_seconds,
            "known_at": np.maximum(posts.created_at, world.start),
        }
    )


def _user_ids(numbers: Ints) -> pl.Series:
    return _ids("user-", numbers, 5)


def _post_ids(numbers: Ints) -> pl.Series:
    return _ids("post-", numbers, 6)


def _ids(prefix: str, numbers: Ints, digits: int) -> pl.Series:
    return prefix + pl.Series(numbers).cast(pl.String).str.zfill(digits)


def _joined(left: pl.Series, right: pl.Series) -> pl.Series:
    return left + "-" + right


def _names(names: tuple[str, ...] | list[str], codes: Ints) -> pl.Series:
    return pl.Series(names, dtype=pl.String).gather(codes)


def _constant(text: str, count: int) -> pl.Series:
    return pl.repeat(text, count, dtype=pl.String, eager=True)
