"""How simulated rows arrive: late, twice, after an outage; and what had arrived by some night."""

from dataclasses import replace

import numpy as np
import polars as pl

from feed_platform.feed import SimulatorSource
from feed_platform.interactions.batch import Batch
from feed_platform.interactions.simulator.world import HOUR, TICK, Times, World

EVENT_TIMES = {"impressions": "shown_at", "engagements": "occurred_at"}
NETWORK_SECONDS, MAX_NETWORK_SECONDS = 2.0, 60.0
MAX_LATE_HOURS = 72.0
RETRY_SECONDS, MAX_RETRY_SECONDS = 600.0, 86_400.0
BACKLOG_SECONDS = 1_800.0
"""After an outage, what waited arrives within this time."""


def deliver(world: World, day: int, happened: Batch) -> Batch:
    """The day's rows as they are delivered: some events twice, in a live source with `received_at`."""
    events = {name: _delivered(world, day, happened, name) for name in EVENT_TIMES}
    if world.source.mode == "history":
        return replace(happened, **events)
    entities = {name: _catalogued(world, day, happened, name) for name in ("users", "posts")}
    return replace(happened, **events, **entities)


def _delivered(world: World, day: int, happened: Batch, name: str) -> pl.DataFrame:
    frame, random = happened.table(name), world.random(f"{name} delivery", day)
    assert frame is not None
    is_repeated = random.random(len(frame)) < world.source.duplicate_share
    if world.source.mode == "history":
        return pl.concat([frame, frame.filter(is_repeated)])
    times = frame[EVENT_TIMES[name]].to_numpy()
    received = _sent(world.source, random, times)
    retried = received[is_repeated] + _seconds(
        random, RETRY_SECONDS, MAX_RETRY_SECONDS, int(is_repeated.sum())
    )
    all_received = after_outages(world, random, np.concatenate([received, retried]))
    return pl.concat([frame, frame.filter(is_repeated)]).with_columns(pl.Series("received_at", all_received))


def _catalogued(world: World, day: int, happened: Batch, name: str) -> pl.DataFrame:
    """Users and posts come with the feed's own catalogue, at once but for outages."""
    frame, random = happened.table(name), world.random(f"{name} delivery", day)
    assert frame is not None
    received = after_outages(world, random, frame["known_at"].to_numpy())
    return frame.drop("known_at").with_columns(pl.Series("received_at", received))


def _sent(source: SimulatorSource, random: np.random.Generator, times: Times) -> Times:
    """When events would arrive but for outages."""
    count = len(times)
    is_late = random.random(count) < source.late_share
    delay = _seconds(random, NETWORK_SECONDS, MAX_NETWORK_SECONDS, count)
    late = _seconds(random, source.late_hours * 3_600, MAX_LATE_HOURS * 3_600, count)
    return times + np.where(is_late, late, delay)


def after_outages(world: World, random: np.random.Generator, times: Times) -> Times:
    """The same times, but for those in an outage: these come within half an hour after it."""
    backlog = _seconds(random, BACKLOG_SECONDS / 4, BACKLOG_SECONDS, len(times))
    for begin, end in _outages(world):
        times = np.where((times >= begin) & (times < end), end + backlog, times)
    return times


def _outages(world: World) -> list[tuple[np.datetime64, np.datetime64]]:
    begins = [world.midnight(each.day) + _span(each.hour) for each in world.source.outages]
    spans = [_span(each.hours) for each in world.source.outages]
    return sorted((begin, begin + span) for begin, span in zip(begins, spans, strict=True))


def _span(hours: float) -> np.timedelta64:
    return np.timedelta64(round(hours * (HOUR / TICK)), "us")


def _seconds(random: np.random.Generator, mean: float, longest: float, count: int) -> np.ndarray:
    """Exponential times, cut at the longest."""
    return (np.minimum(random.exponential(mean, count), longest) * 1e6).astype("timedelta64[us]")
