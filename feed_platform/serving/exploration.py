"""Whether a request explores, and how: by chance of its id, or as it asks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from feed_platform.features.blocks import Found
from feed_platform.features.online import OnlineSnapshot
from feed_platform.feed import Exploration
from feed_platform.serving.drawing import Vector, exposure_boost, hashes, uniform
from feed_platform.serving.schemas import PROBE, Explore, RankRequest

Policy = Literal["greedy", "plackett_luce", "pinned"]
ASKED = "request"  # in place of the experiment's name, where the client chose the arm
ARM_OF_ITS_OWN = np.array([0], dtype=np.uint64)


@dataclass(frozen=True)
class Arm:
    """Which experiment a request belongs to, in which arm; `temperature` is None where it doesn't explore."""

    experiment: str
    temperature: float | None = None

    @property
    def name(self) -> str:
        """As the logs call it."""
        return "greedy" if self.temperature is None else "explore"


def arm_of(request: RankRequest, request_id: str, config: Exploration) -> Arm:
    """The arm of a request: what it asks for, else `share` of the requests explore, by a hash of their id."""
    asked = request.explore
    if isinstance(asked, Explore):
        return Arm(ASKED, asked.temperature)
    if asked is not None:
        return Arm(ASKED, config.temperature if asked == "on" else None)
    is_greedy = request.surface == PROBE or not config.share
    if is_greedy or uniform(hashes(request_id, ARM_OF_ITS_OWN))[0] >= config.share:
        return Arm(config.experiment)
    return Arm(config.experiment, config.temperature)


def logits(
    scores: Vector,
    temperature: float,
    config: Exploration,
    posts: Found,
    snapshot: OnlineSnapshot,
    at: datetime,
) -> Vector:
    """s/T (n,), new posts lifted to their least chance."""
    scaled = scores / temperature
    if not config.new_post_share:
        return scaled
    hours = (np.datetime64(at) - snapshot.created_at(posts)) / np.timedelta64(1, "h")
    return scaled + exposure_boost(scaled, hours < config.new_post_hours, config.new_post_share)
