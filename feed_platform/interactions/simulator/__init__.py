"""A seeded feed whose truth is known: who likes what, and each impression's click probability."""

from feed_platform.interactions.simulator.days import simulate, simulate_day
from feed_platform.interactions.simulator.world import SIMULATOR_ATTRIBUTES, TOPICS

__all__ = ["SIMULATOR_ATTRIBUTES", "TOPICS", "simulate", "simulate_day"]
