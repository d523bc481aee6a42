"""Small simulated worlds: a log by one policy, and the true value of another."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from feed_platform.evaluation.off_policy.estimators import Logged
from feed_platform.evaluation.off_policy.policy import Scores, replay
from feed_platform.evaluation.off_policy.slates import Slates
from feed_platform.feed import SimulatorSource
from feed_platform.interactions.simulator.behaviour import Seen, chances
from feed_platform.interactions.simulator.days import Requests, draw_requests, world_of
from feed_platform.interactions.simulator.policy import first_chances, rank
from feed_platform.interactions.simulator.world import Posts, World

START, DAY = date(2026, 3, 2), 1
CANDIDATES, USERS = 20, 2_000
EXTRA_REQUESTS = 1.5
Policy = dict[str, Any]

UNIFORM: Policy = {"policy": "uniform"}
POPULAR: Policy = {"policy": "popularity", "exploration": 0.3}
PERSONAL: Policy = {"policy": "softmax", "temperature": 1.0, "exploration": 0.3}


def sharp(exploration: float) -> Policy:
    """A greedy personalised policy with little exploration."""
    return {"policy": "softmax", "temperature": 0.5, "exploration": exploration}


@dataclass(frozen=True)
class Design:
    """Which policy logged how many requests, which one is asked about, and how rare clicks are."""

    name: str
    log: Policy
    target: Policy
    requests: int
    places: int
    click_rate: float


DESIGNS = (
    Design("personal → uniform, 10 %", PERSONAL, UNIFORM, 3_000, 3, 0.1),
    Design("popular → personal, 2 %", POPULAR, PERSONAL, 8_000, 3, 0.02),
    Design("uniform → personal, 25 %", UNIFORM, PERSONAL, 1_000, 2, 0.25),
    Design("uniform → sharp, 3.7 %", UNIFORM, sharp(0.05), 8_000, 2, 0.037),
    Design("personal → sharp, 0.46 %", PERSONAL, sharp(0.05), 20_000, 2, 0.0046),
    Design("sharp → popular, 5 %", sharp(0.1), POPULAR, 8_000, 2, 0.05),
    Design("sharp → uniform, 5 %", sharp(0.05), UNIFORM, 12_000, 1, 0.05),
    Design("sharp → uniform, 0.46 %", sharp(0.05), UNIFORM, 12_000, 1, 0.0046),
)


def simulated(design: Design, seed: int) -> tuple[Logged, float]:
    """One world: the log as the target sees it, and the target's true value per request.

    The truth is the mean of the true click probabilities on the target's own slates, over half as many
    requests again as the log has, the log's among them. The reward model is wrong on purpose: the root of
    each true probability, of the right size on the whole.
    """
    count = round(design.requests * EXTRA_REQUESTS)
    source = SimulatorSource(
        seed=seed,
        users=USERS,
        days=3,
        requests_per_day=count,
        candidates=CANDIDATES,
        positions=design.places,
        click_rate=design.click_rate,
        **design.log,
    )
    world = world_of(source, START)
    posts = world.stock(DAY)
    drawn, random = draw_requests(world, DAY, posts), np.random.default_rng([seed, 11])
    pool, user = drawn.slates.post, drawn.user
    hour = drawn.asked_at.astype("datetime64[h]").astype("datetime64[us]")
    asked = replace(world, source=source.model_copy(update=design.target))
    target = first_chances(asked, posts, user, hour, pool)
    truth = np.stack([_clicks(world, posts, drawn, place + 1) for place in range(design.places)])
    order, _ = rank(random, target)
    value = sum(np.take_along_axis(truth[k], order[:, [k]], 1).mean() for k in range(design.places))
    kept = np.sort(random.choice(len(user), design.requests, replace=False))
    slates = _slates(drawn, truth, kept, random)
    model = np.sqrt(truth[:, kept])
    scale = truth[0, kept, 0].mean() / model[0, :, 0].mean()
    return replay(slates, Scores(np.log(target[kept]), tuple(model * scale)), 1.0), float(value)


def _slates(drawn: Requests, truth: np.ndarray, kept: np.ndarray, random: np.random.Generator) -> Slates:
    places = len(truth)
    chance = np.column_stack([truth[place, kept, place] for place in range(places)])
    everywhere = np.ones((len(kept), drawn.slates.post.shape[1]), dtype=bool)
    return Slates(
        is_candidate=everywhere,
        reward=(random.random(chance.shape) < chance).astype(np.float64),
        propensity=drawn.slates.propensity[kept, :places],
        is_shown=everywhere[:, :places],
        unit=np.unique(drawn.user[kept], return_inverse=True)[1],
        features=np.empty((0, 0), dtype=np.float32),
        names=(),
    )


def _clicks(world: World, posts: Posts, drawn: Requests, position: int) -> np.ndarray:
    """The true click probability of every candidate at a position, (requests, candidates)."""
    pool = drawn.slates.post
    size = pool.shape[1]
    seen = Seen(
        user=np.repeat(drawn.user, size),
        post=pool.ravel(),
        shown_at=np.repeat(drawn.asked_at, size),
        position=np.full(pool.size, position),
    )
    return chances(world, DAY, posts, seen).click.reshape(pool.shape)
