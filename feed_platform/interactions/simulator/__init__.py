"""A seeded feed whose truth is known: who likes what, each event's probability, each slate's propensity."""

from feed_platform.interactions.simulator.arrivals import arrivals, days_on_the_way, nights
from feed_platform.interactions.simulator.days import bots, simulate, simulate_day
from feed_platform.interactions.simulator.slates import SlateFrames, simulated_slates, store_slates
from feed_platform.interactions.simulator.world import SIMULATOR_ATTRIBUTES, TOPICS

__all__ = [
    "SIMULATOR_ATTRIBUTES",
    "TOPICS",
    "SlateFrames",
    "arrivals",
    "bots",
    "days_on_the_way",
    "nights",
    "simulate",
    "simulate_day",
    "simulated_slates",
    "store_slates",
]
