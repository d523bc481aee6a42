"""What was simulated, as rows of the raw tables and of the truth."""

import numpy as np
import polars as pl

from feed_platform.interactions.simulator.behaviour import Actions, Chances, Seen
from feed_platform.interactions.simulator.policy import PROPENSITY_KIND
from feed_platform.interactions.simulator.world import (
    COUNTRIES,
    DEVICES,
    FORMATS,
    TOPICS,
    Bools,
    Floats,
    Ints,
    Posts,
    World,
)


def impression_rows(world: World, day: int, posts: Posts, seen: Seen, propensity: Floats) -> pl.DataFrame:
    """The day's `raw.impressions`; propensities (requests, candidates) reach as far as was shown."""
    positions = len(seen) // len(propensity)
    request_id = request_ids(world, day, np.repeat(np.arange(len(propensity)), positions))
    return pl.DataFrame(
        {
            "impression_id": _joined(request_id, ids("", seen.position, 2)),
            "request_id": request_id,
            "surface": constant("home", len(seen)),
            "user_id": user_ids(seen.user),
            "post_id": post_ids(posts.number[seen.post]),
            "shown_at": seen.shown_at,
            "position": seen.position.astype(np.int32),
            "propensity": propensity[:, :positions].ravel(),
            "propensity_kind": constant(PROPENSITY_KIND, len(seen)),
            "policy": constant(world.source.policy, len(seen)),
            "context": contexts(world, seen.user),
        }
    )


def engagement_rows(impressions: pl.DataFrame, actions: list[Actions], last: np.datetime64) -> pl.DataFrame:
    """The day's `raw.engagements`; what would happen after midnight happens just before it."""
    found = impressions[np.concatenate([kind.impression for kind in actions])]
    event_type = pl.concat([constant(kind.event_type, len(kind.impression)) for kind in actions])
    return found.select(
        _joined(found["impression_id"], event_type).alias("engagement_id"),
        "impression_id",
        "user_id",
        "post_id",
        event_type.alias("event_type"),
        pl.Series("value", np.concatenate([kind.value for kind in actions])).fill_nan(None),
        pl.Series("occurred_at", np.minimum(np.concatenate([kind.occurred_at for kind in actions]), last)),
    )


def truth_rows(impressions: pl.DataFrame, truth: Chances, is_bot: Bools) -> pl.DataFrame:
    """Each impression's true probability of each event (`<event>_probability`), and whether a bot saw it."""
    chances = {f"{event}_probability": chance for event, chance in truth.of_each().items()}
    return impressions.select("impression_id").with_columns(
        *(pl.Series(name, chance) for name, chance in chances.items()), pl.Series("is_bot", is_bot)
    )


def user_rows(world: World, day: int) -> pl.DataFrame:
    """`raw.users` of those who joined on a day."""
    users = world.users
    joined = (users.joined_at >= world.midnight(day)) & (users.joined_at < world.midnight(day + 1))
    who = np.flatnonzero(joined)
    return pl.DataFrame(
        {
            "user_id": user_ids(who),
            "country": names(COUNTRIES, users.country[who]),
            "device": names(DEVICES, users.device[who]),
            "known_at": users.joined_at[who],
        }
    )


def post_rows(world: World, posts: Posts) -> pl.DataFrame:
    """`raw.posts` of some posts."""
    return pl.DataFrame(
        {
            "post_id": post_ids(posts.number),
            "author_id": ids("author-", posts.author, 4),
            "topic": names(TOPICS, posts.topic),
            "created_at": posts.created_at,
            "format": names(FORMATS, posts.format),
            "length_seconds": posts.length_seconds,
            "known_at": np.maximum(posts.created_at, world.start),
        }
    )


def request_ids(world: World, day: int, requests: Ints) -> pl.Series:
    """Ids of a day's requests, by their place in it."""
    date_text = str(world.midnight(day).astype("datetime64[D]")).replace("-", "")
    return ids(f"{date_text}-", requests, 6)


def contexts(world: World, user: Ints) -> pl.Series:
    """What a request's context says: the user's device, as JSON."""
    return names([f'{{"device": "{device}"}}' for device in DEVICES], world.users.device[user])


def user_ids(numbers: Ints) -> pl.Series:
    """Ids of users by their place in the world."""
    return ids("user-", numbers, 5)


def post_ids(numbers: Ints) -> pl.Series:
    """Ids of posts by their number."""
    return ids("post-", numbers, 6)


def ids(prefix: str, numbers: Ints, digits: int) -> pl.Series:
    """A prefix and a number of at least some digits."""
    return prefix + pl.Series(numbers).cast(pl.String).str.zfill(digits)


def names(known: tuple[str, ...] | list[str], codes: Ints) -> pl.Series:
    """Codes as names."""
    return pl.Series(known, dtype=pl.String).gather(codes)


def constant(text: str, count: int) -> pl.Series:
    """The same text in every row."""
    return pl.repeat(text, count, dtype=pl.String, eager=True)


def _joined(left: pl.Series, right: pl.Series) -> pl.Series:
    return left + "-" + right
