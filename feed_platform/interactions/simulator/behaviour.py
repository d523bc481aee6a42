"""What people do with what they see: the true probability of each event, then the events drawn from it.

Someone looks at position k with probability `k^-position_bias` and clicks what they look at with
the probability of its appeal (the examination model of Richardson, Dominowska and Ragno, 2007).
What may follow a click, and what comes only without one, each has a driver of its own.
"""

from dataclasses import dataclass

import numpy as np

from feed_platform.interactions.simulator.world import DAY, HOUR, TOPICS, Floats, Ints, Posts, Times, World

TASTE_WEIGHT, INTERESTS_WEIGHT = 3.5, 0.8
DRIFT_SHIFT = len(TOPICS) // 2
FORMAT_LIFT = np.array([0.2, 0.0, -0.2])
MONDAY = np.datetime64("1970-01-05", "us")
EVENING, WEEKEND = 20 / 24, 6.0
"""Where the cycles of day and week peak, in days since a Monday's beginning."""
VIRAL_LIFT, VIRAL_PEAK_HOURS = 2.0, 12.0
BOT_CLICK = 0.6
AFTER_CLICK, WITHOUT_CLICK = ("like", "comment", "share", "follow"), ("hide", "report")
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
class Chances:
    """True probabilities, (n,) each: of the click, of a look's click (`appeal`), of what follows.

    `given` holds the probability of each event of `AFTER_CLICK` given a click, and of each of
    `WITHOUT_CLICK` given none.
    """

    appeal: Floats
    click: Floats
    given: dict[str, Floats]

    def of_each(self) -> dict[str, Floats]:
        """Each event's unconditional probability; dwell comes with every click."""
        after = {name: self.click * self.given[name] for name in AFTER_CLICK}
        without = {name: (1 - self.click) * self.given[name] for name in WITHOUT_CLICK}
        return {"click": self.click} | after | without


@dataclass(frozen=True)
class Actions:
    """Engagements: the place of their impression, type, value (ms for dwell, else NaN), moment."""

    impression: Ints
    event_type: str
    value: Floats
    occurred_at: Times


def fondness(world: World, drift: float, user: Ints, topic: Ints) -> Floats:
    """How much users like topics, in [0, 1]: the root of their share of taste; shapes broadcast.

    Args:
        drift: the share of each taste that has moved to another topic.
    """
    tastes = world.users.tastes
    taste = tastes[user, topic]
    if drift:
        taste = (1 - drift) * taste + drift * tastes[user, (topic + DRIFT_SHIFT) % len(TOPICS)]
    return np.sqrt(taste)


def affinity(world: World, drift: float, posts: Posts, user: Ints, post: Ints) -> Floats:
    """What user and post add to the click logit together: topic (after a drift) and latent interests."""
    result = TASTE_WEIGHT * fondness(world, drift, user, posts.topic[post])
    dimensions = world.source.interests
    for own, theirs in zip(world.users.interests.T, posts.interests.T, strict=True):
        result += INTERESTS_WEIGHT / np.sqrt(dimensions) * own[user] * theirs[post]
    return result


def viral_lift(posts: Posts, post: Ints, age_hours: Floats) -> Floats:
    """What going viral adds to the click logit: rises to `VIRAL_LIFT` in half a day, then fades."""
    age = age_hours / VIRAL_PEAK_HOURS
    return VIRAL_LIFT * posts.is_viral[post] * age * np.exp(1 - age)


def chances(world: World, day: int, posts: Posts, seen: Seen) -> Chances:
    """The truth about some impressions of a day."""
    is_bot, drift = world.users.is_bot[seen.user], world.concept_drift(day)
    viral = viral_lift(posts, seen.post, _age_hours(posts, seen))
    logit = world.intercept + _people_logit(world, drift, posts, seen) + viral
    appeal = np.where(is_bot, BOT_CLICK, _sigmoid(logit))
    examined = np.where(is_bot, 1.0, seen.position.astype(float) ** -world.source.position_bias)
    fond = fondness(world, drift, seen.user, posts.topic[seen.post])
    drivers = {
        "like": -2.05 + 1.5 * fond,
        "comment": -3.6 + posts.controversy[seen.post],
        "share": -4.0 + posts.quality[seen.post] + viral,
        "follow": -5.1 + 2 * posts.author_quality[seen.post],
        "hide": -4.45 - 2 * fond,
        "report": -7.6 + posts.offence[seen.post],
    }
    given = {name: np.where(is_bot, 0.0, _sigmoid(driver)) for name, driver in drivers.items()}
    return Chances(appeal, examined * appeal, given)


def act(random: np.random.Generator, posts: Posts, seen: Seen, truth: Chances) -> list[Actions]:
    """Draw every engagement with some impressions; dwell follows each click."""
    clicked = random.random(len(seen)) < truth.click
    clicks, others = np.flatnonzero(clicked), np.flatnonzero(~clicked)
    clicked_at = seen.shown_at[clicks] + _delay(random, CLICK_SECONDS, len(clicks))
    dwell_ms = _dwell(random, posts.length_seconds[seen.post[clicks]], truth.appeal[clicks])
    left_at = clicked_at + dwell_ms.astype("timedelta64[ms]")
    actions = [
        Actions(clicks, "click", np.full(len(clicks), np.nan), clicked_at),
        Actions(clicks, "dwell", dwell_ms, left_at),
    ]
    for event_type in AFTER_CLICK:
        drawn = random.random(len(clicks)) < truth.given[event_type][clicks]
        actions.append(_later(random, event_type, clicks[drawn], clicked_at[drawn]))
    for event_type in WITHOUT_CLICK:
        drawn = random.random(len(others)) < truth.given[event_type][others]
        actions.append(_later(random, event_type, others[drawn], seen.shown_at[others[drawn]]))
    return actions


def _people_logit(world: World, drift: float, posts: Posts, seen: Seen) -> Floats:
    """The click logit without intercept and viral lift."""
    source = world.source
    days = (seen.shown_at - MONDAY) / DAY
    return (
        affinity(world, drift, posts, seen.user, seen.post)
        + world.users.eagerness[seen.user]
        + posts.quality[seen.post]
        + FORMAT_LIFT[posts.format[seen.post]]
        + source.day_cycle * np.cos((days - EVENING) * 2 * np.pi)
        + source.week_cycle * week_wave(days)
        - source.freshness_decay * _age_hours(posts, seen) / 24
    )


def week_wave(days: Floats | np.float64) -> Floats:
    """The week's cycle at some days since a Monday began: 1 in the middle of the weekend, at least -1."""
    return np.cos((days - WEEKEND) * 2 * np.pi / 7)


def _age_hours(posts: Posts, seen: Seen) -> Floats:
    return (seen.shown_at - posts.created_at[seen.post]) / HOUR


def _sigmoid(logit: Floats) -> Floats:
    return 1 / (1 + np.exp(-logit))


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
