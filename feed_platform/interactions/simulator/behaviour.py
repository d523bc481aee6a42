"""What people do with what they see: the true click probability, then the engagements."""

from dataclasses import dataclass

import numpy as np

from feed_platform.interactions.simulator.world import HOUR, Floats, Ints, Posts, Times, Users

BASE_LOGIT = -2.6
TASTE_WEIGHT = 3.5
FADE_A_DAY = 0.35
EVENING_LIFT = 0.15
FORMAT_LIFT = np.array([0.2, 0.0, -0.2])
EXAMINATION_DECAY = 0.3
AFTER_CLICK = {"like": 0.22, "comment": 0.05, "share": 0.04, "follow": 0.015}
WITHOUT_CLICK = {"hide": 0.01, "report": 0.0008}
CLICK_SECONDS, ACTION_SECONDS = 8.0, 25.0


@dataclass(frozen=True)
class Seen:
    """Impressions, one row each: who saw which post when and at which position, from 1."""

    user: Ints
    post: Ints
    shown_at: Times
    position: Ints

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class Actions:
    """Engagements: the place of their impression, type, value (ms for dwell, else NaN), moment."""

    impression: Ints
    event_type: str
    value: Floats
    occurred_at: Times


def appeal(users: Users, posts: Posts, seen: Seen) -> Floats:
    """The probability of a click by someone who looks at the post, (n,)."""
    topic, age = posts.topic[seen.post], (seen.shown_at - posts.created_at[seen.post]) / HOUR
    hour = (seen.shown_at - seen.shown_at.astype("datetime64[D]")) / HOUR
    logit = (
        BASE_LOGIT
        + TASTE_WEIGHT * np.sqrt(users.tastes[seen.user, topic])
        + users.eagerness[seen.user]
        + posts.quality[seen.post]
        + FORMAT_LIFT[posts.format[seen.post]]
        + EVENING_LIFT * np.cos((hour - 20) / 24 * 2 * np.pi)
        - FADE_A_DAY * age / 24
    )
    return 1 / (1 + np.exp(-logit))


def examination(position: Ints) -> Floats:
    """The probability that someone looks at a position, from 1."""
    return position.astype(float) ** -EXAMINATION_DECAY


def act(random: np.random.Generator, posts: Posts, seen: Seen, appealing: Floats) -> list[Actions]:
    """Draw every engagement with some impressions.

    A click has the probability `examination x appealing`. Dwell follows each click; what else
    may follow a click, and what comes without one, depends on the appeal too.
    """
    clicked = random.random(len(seen)) < examination(seen.position) * appealing
    clicks, others = np.flatnonzero(clicked), np.flatnonzero(~clicked)
    clicked_at = seen.shown_at[clicks] + _delay(random, CLICK_SECONDS, len(clicks))
    dwell_ms = _dwell(random, posts.length_seconds[seen.post[clicks]], appealing[clicks])
    left_at = clicked_at + dwell_ms.astype("timedelta64[ms]")
    actions = [
        Actions(clicks, "click", np.full(len(clicks), np.nan), clicked_at),
        Actions(clicks, "dwell", dwell_ms, left_at),
    ]
    for event_type, rate in AFTER_CLICK.items():
        drawn = random.random(len(clicks)) < rate * (0.5 + appealing[clicks])
        actions.append(_later(random, event_type, clicks[drawn], clicked_at[drawn]))
    for event_type, rate in WITHOUT_CLICK.items():
        drawn = random.random(len(others)) < rate * (1.1 - appealing[others])
        actions.append(_later(random, event_type, others[drawn], seen.shown_at[others[drawn]]))
    return actions


def _later(random: np.random.Generator, event_type: str, impressions: Ints, after: Times) -> Actions:
    count = len(impressions)
    return Actions(
        impressions, event_type, np.full(count, np.nan), after + _delay(random, ACTION_SECONDS, count)
    )


def _dwell(random: np.random.Generator, length_seconds: Floats, appealing: Floats) -> Floats:
    """Whole milliseconds on a post: more of it where it appeals."""
    share = random.lognormal(-0.7, 0.7, len(length_seconds)) * (0.5 + appealing)
    return np.ceil(1_000 * length_seconds * share)


def _delay(random: np.random.Generator, mean_seconds: float, count: int) -> np.ndarray:
    return (random.exponential(mean_seconds, count) * 1e6).astype("timedelta64[us]")
