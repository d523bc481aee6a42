"""The logging policy: which posts a request showed, and the exact probability of each.

Within an hour every request draws its slate from one distribution over the posts that existed
when the hour began: EXPLORE uniform, the rest by acclaim and freshness. Slates are drawn without
replacement, so the probability of a post at position k given those above it is its share of what
remains: `q_k / (1 - q_1 - ... - q_{k-1})`, a Plackett-Luce draw with weights q (`conditional`).
"""

import numpy as np

from feed_platform.interactions.simulator.world import HOUR, Floats, Ints, Posts

POLICY, PROPENSITY_KIND = "acclaim_and_freshness", "conditional"
EXPLORE = 0.3
LIFETIME_HOURS = 72.0
FADE_HOURS = 24.0
POSITIONS = 10
HOURS = 24


def hourly_chances(posts: Posts, midnight: np.datetime64) -> Floats:
    """Each post's chance of the first position, by hour of the day: (24, posts), rows sum to 1."""
    hour = (midnight + np.arange(HOURS) * HOUR)[:, None]
    age = (hour - posts.created_at) / HOUR
    eligible = (age > 0) & (age <= LIFETIME_HOURS)
    weight = np.where(eligible, np.exp(posts.acclaim - age / FADE_HOURS), 0.0)
    uniform = eligible / eligible.sum(axis=1, keepdims=True)
    return EXPLORE * uniform + (1 - EXPLORE) * weight / weight.sum(axis=1, keepdims=True)


def draw_slates(random: np.random.Generator, chances: Floats, hours: Ints) -> tuple[Ints, Floats]:
    """Draw a slate for each request.

    Args:
        chances: as `hourly_chances` gives them.
        hours: the requests' hours of the day, (n,).

    Returns:
        The posts' places in `chances` and their conditional propensities, (n, positions).
        Positions are 10, or fewer where an hour has fewer posts.
    """
    positions = min(POSITIONS, int((chances > 0).sum(axis=1).min()))
    chosen = np.full((len(hours), positions), -1)
    ends = _ends(chances)
    for position in range(positions):
        waiting = np.arange(len(hours))
        while waiting.size:
            drawn = _draw(random, ends, hours[waiting])
            repeats = (chosen[waiting, :position] == drawn[:, None]).any(axis=1)
            chosen[waiting[~repeats], position] = drawn[~repeats]
            waiting = waiting[repeats]
    chance = chances[hours[:, None], chosen]
    above = np.cumsum(chance, axis=1) - chance
    return chosen, np.minimum(chance / (1 - above), 1.0)


def _ends(chances: Floats) -> Floats:
    """Where each post's stretch ends; hour h's posts share [h, h + 1)."""
    ends = np.cumsum(chances, axis=1)
    return ends / ends[:, -1:] + np.arange(len(chances))[:, None]


def _draw(random: np.random.Generator, ends: Floats, hours: Ints) -> Ints:
    # hour + random can round up to the next hour, which would be another hour's post
    at = np.minimum(hours + random.random(len(hours)), np.nextafter(hours + 1.0, 0))
    return np.searchsorted(ends.ravel(), at, side="right") - hours * ends.shape[1]
