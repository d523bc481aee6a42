"""The logging policy: which posts a request could show, in which order it ranked them, and how
probable that was.

Retrieval gives each request a uniform random set of candidates among the posts that existed when
the hour began. The policy gives each candidate a chance q of the first place, `exploration`
uniform, the rest a softmax of its utility; places are then filled without replacement, so that
the probability of a post at place k given those above it is `q_k / (1 - q_1 - ... - q_{k-1})`
(`conditional`): the model of Luce (1959) and Plackett (1975). It is drawn by sorting `E / q` with
E standard exponential, which is the Gumbel-max trick with its logarithms undone (Yellott, 1977).
"""

from dataclasses import dataclass

import numpy as np

from feed_platform.interactions.simulator.behaviour import affinity, viral_lift
from feed_platform.interactions.simulator.world import HOUR, Floats, Ints, Posts, Times, World

PROPENSITY_KIND = "conditional"
LIFETIME_HOURS = 72
FADE_HOURS = 24.0
LEAST_UTILITY = -600.0
"""Below the best candidate's, so that no chance is 0."""


@dataclass(frozen=True)
class Slates:
    """Each request's candidates in the order of their ranking, (requests, candidates) each.

    Attributes:
        post: places in the day's `Posts`.
        chance: the policy's probability of putting the candidate first; a row sums to 1.
        propensity: its probability of this place given those above.
    """

    post: Ints
    chance: Floats
    propensity: Floats


def draw_slates(world: World, day: int, posts: Posts, user: Ints, asked_at: Times) -> Slates:
    """The slates of a day's requests: retrieved, then ranked.

    Args:
        user, asked_at: who asked and when, (requests,).
    """
    random = world.random("slates", day)
    hour = asked_at.astype("datetime64[h]").astype("datetime64[us]")
    pool = retrieve(random, posts, hour, world.source.candidates)
    chance = first_chances(world, posts, user, hour, pool)
    order, propensity = rank(random, chance)
    return Slates(np.take_along_axis(pool, order, 1), np.take_along_axis(chance, order, 1), propensity)


def retrieve(random: np.random.Generator, posts: Posts, hour: Times, size: int) -> Ints:
    """A uniform random set of eligible posts for each request, (requests, candidates).

    Eligible is who was created in the `LIFETIME_HOURS` before the hour (requests,). Sets have
    `size` posts, or as many as every hour has. Drawn by Floyd's algorithm (Bentley and Floyd, 1987).
    """
    first = np.searchsorted(posts.created_at, hour - LIFETIME_HOURS * HOUR)
    eligible = np.searchsorted(posts.created_at, hour) - first
    size = min(size, int(eligible.min()))
    chosen = np.empty((len(hour), size), dtype=np.int64)
    for place in range(size):
        last = eligible - size + place
        drawn = random.integers(last + 1)
        is_taken = (chosen[:, :place] == drawn[:, None]).any(axis=1)
        chosen[:, place] = np.where(is_taken, last, drawn)
    return chosen + first[:, None]


def first_chances(world: World, posts: Posts, user: Ints, hour: Times, pool: Ints) -> Floats:
    """Each candidate's chance of the first place, as `pool`, (requests, candidates); rows sum to 1."""
    source, size = world.source, pool.shape[1]
    if source.policy == "uniform":
        return np.full(pool.shape, 1 / size)
    utility = _utility(world, posts, user, hour, pool) / source.temperature
    weight = np.exp(np.maximum(utility - utility.max(axis=1, keepdims=True), LEAST_UTILITY))
    greedy = weight / weight.sum(axis=1, keepdims=True)
    return source.exploration / size + (1 - source.exploration) * greedy


def rank(random: np.random.Generator, chance: Floats) -> tuple[Ints, Floats]:
    """Draw an order of the candidates, and the conditional propensity of each place in it.

    Args:
        chance: of the first place, (requests, candidates), positive, rows sum to 1.

    Returns:
        Places in `chance`, first rank first, and their propensities; both in the shape of `chance`.
    """
    order = np.argsort(random.standard_exponential(chance.shape) / chance, axis=1)
    ranked = np.take_along_axis(chance, order, 1)
    remaining = np.cumsum(ranked[:, ::-1], axis=1)[:, ::-1]
    return order, ranked / remaining


def _utility(world: World, posts: Posts, user: Ints, hour: Times, pool: Ints) -> Floats:
    """What the policy sorts by: acclaim and freshness, for softmax also what users liked before a drift."""
    age = (hour[:, None] - posts.created_at[pool]) / HOUR
    known = posts.acclaim[pool] + viral_lift(posts, pool, age)
    if world.source.policy == "popularity":
        return known - age / FADE_HOURS
    liked = affinity(world, 0.0, posts, user[:, None], pool)
    return known + liked - world.source.freshness_decay * age / 24
