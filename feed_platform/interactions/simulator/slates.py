"""Whole rankings behind the simulated impressions: requests and candidates, for off-policy evaluation."""

from dataclasses import dataclass
from datetime import date, datetime

import duckdb
import numpy as np
import polars as pl

from feed_platform.feed import SimulatorSource
from feed_platform.interactions.simulator.days import draw_requests, world_of
from feed_platform.interactions.simulator.frames import constant, contexts, post_ids, request_ids, user_ids
from feed_platform.lake.erased import erased_filter

SERVED_BY = "log"
NEW_REQUESTS = """
create or replace temp table new_requests as
select request_id from simulated_requests anti join serving.requests using (request_id)
where requested_at < $until and {is_welcome}
"""
INSERT_REQUESTS = """
insert into serving.requests by name
select *, requested_at as known_at from simulated_requests semi join new_requests using (request_id)
order by requested_at
"""
INSERT_CANDIDATES = """
insert into serving.candidates by name
from simulated_candidates semi join new_requests using (request_id)
"""


@dataclass(frozen=True)
class SlateFrames:
    """Rows of `serving.requests` and of `serving.candidates`.

    A candidate's `score` is the policy's probability of putting it first, its `propensity` that of
    its rank given those above: `score / (1 - scores above)`. What was shown are the first ranks.
    """

    requests: pl.DataFrame
    candidates: pl.DataFrame


def simulated_slates(source: SimulatorSource, start: date, day: int) -> SlateFrames:
    """The rankings of which `simulate_day` shows the top; day 0 is the first."""
    world = world_of(source, start)
    posts = world.stock(day)
    drawn = draw_requests(world, day, posts)
    count, size = drawn.slates.post.shape
    request_id = request_ids(world, day, np.arange(count))
    requests = pl.DataFrame(
        {
            "request_id": request_id,
            "user_id": user_ids(drawn.user),
            "surface": constant("home", count),
            "context": contexts(world, drawn.user),
            "requested_at": drawn.asked_at,
            "policy": constant(source.policy, count),
            "served_by": constant(SERVED_BY, count),
        }
    )
    candidates = pl.DataFrame(
        {
            "request_id": request_id.gather(np.repeat(np.arange(count), size)),
            "post_id": post_ids(posts.number[drawn.slates.post.ravel()]),
            "rank": np.tile(np.arange(1, size + 1, dtype=np.int32), count),
            "score": drawn.slates.chance.ravel(),
            "propensity": drawn.slates.propensity.ravel(),
        }
    )
    return SlateFrames(requests, candidates)


def store_slates(con: duckdb.DuckDBPyConnection, slates: SlateFrames, until: datetime) -> int:
    """Insert requests made before `until` (UTC, naive) that the lake doesn't have yet, with candidates.

    Runs on the caller's write transaction; the same slates twice change nothing.

    Returns:
        The number of requests inserted.
    """
    con.register("simulated_requests", slates.requests)
    con.register("simulated_candidates", slates.candidates)
    con.execute(NEW_REQUESTS.format(is_welcome=erased_filter(con)), {"until": until})
    con.execute(INSERT_REQUESTS)
    con.execute(INSERT_CANDIDATES)
    con.unregister("simulated_requests")
    con.unregister("simulated_candidates")
    row = con.execute("select count(*) from new_requests").fetchone()
    assert row is not None
    return int(row[0])
