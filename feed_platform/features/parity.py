"""Every feature computed anew, straight from the raw rows: what serving logged and what the lake stores.

No table that dbt builds is read. Events are counted for what their post was when they became known, windows
end before as_of, users and posts are what they were at `attributes_at`; each window is a sum of its own.
"""

from datetime import timedelta

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl

from feed_platform.features.catalogue import (
    GROUPS,
    attribute_names,
    context_names,
    feature_names,
    longest_window,
    stored_names,
)
from feed_platform.features.frame import versions, with_features
from feed_platform.features.project import IMPRESSIONS, definitions, measure_of, measures, rates, recency
from feed_platform.feed import Feed

Floats = npt.NDArray[np.float32]
COLUMNS = {"user": "user_id", "post": "post_id", "author": "author_id", "topic": "topic"}
EVENTS = """(
    select known_at, user_id, post_id, 'impression' as event_type, cast(null as double) as value
    from raw.impressions where known_at >= $first and known_at < $last
    union all
    select known_at, user_id, post_id, event_type, value
    from raw.engagements where known_at >= $first and known_at < $last
)"""
OF_SAMPLES = " or ".join(f"{column} in (select {column} from parity_rows)" for column in COLUMNS.values())


def recomputed(con: duckdb.DuckDBPyConnection, feed: Feed, samples: pl.DataFrame) -> Floats:
    """Every feature of n (user, post) pairs by brute force, float32 (n, len(feature_names(feed))).

    Args:
        con: the lake; temporary tables `parity_*` are made in the connection.
        feed: whose features.
        samples: user_id, post_id, as_of (a full hour, UTC), attributes_at (users and posts are what was
            known up to and at this instant), at (of the request), position, context (JSON) of each pair.
    """
    if samples.is_empty():
        return np.empty((0, len(feature_names(feed))), dtype=np.float32)
    rows = _rows(con, feed, samples)
    _tally(con, feed, samples)
    stored = [con.execute(_group_sql(group, feed)).pl() for group in GROUPS]
    frame = with_features(pl.concat([rows, *stored], how="horizontal"), feed)
    return frame.select(pl.col(feature_names(feed)).cast(pl.Float32)).to_numpy()


def _rows(con: duckdb.DuckDBPyConnection, feed: Feed, samples: pl.DataFrame) -> pl.DataFrame:
    """The samples with what their users and posts were, as the table `parity_rows` too, in their order."""
    con.register("parity_samples", samples.with_row_index("number"))
    declared = feed.attributes
    users, posts = (tuple(f'"{name}"' for name in kinds) for kinds in (declared.users, declared.posts))
    post_facts = ("author_id", "topic", "created_at")
    names = (*attribute_names("user", declared.users), *attribute_names("post", declared.posts))
    values = (*(f"users.{name}" for name in users), *(f"posts.{name}" for name in posts))
    attributes = "".join(f", {value} as {name}" for value, name in zip(values, names, strict=True))
    context = "".join(
        f""", cast(samples.context as json) ->> '$."{key}"' as {name}"""
        for key, name in zip(declared.context, context_names(declared), strict=True)
    )
    con.execute(f"""
        create or replace temp table parity_rows as
        select samples.number, samples.user_id, samples.post_id, samples.as_of, samples.position,
            samples.at as decided_at, posts.author_id, posts.topic, posts.created_at{context}{attributes}
        from parity_samples as samples
        asof left join ({versions("raw.users", "user_id", users)}) as users
            on samples.user_id = users.user_id and samples.attributes_at >= users.known_at
        asof left join ({versions("raw.posts", "post_id", (*post_facts, *posts))}) as posts
            on samples.post_id = posts.post_id and samples.attributes_at >= posts.known_at""")
    con.unregister("parity_samples")
    return con.execute("from parity_rows order by number").pl()


def _tally(con: duckdb.DuckDBPyConnection, feed: Feed, samples: pl.DataFrame) -> None:
    """`parity_events`, what may concern the samples, and the smoothing's `parity_rates`."""
    known = definitions()
    reach = timedelta(hours=max(known.window_hours.values()))
    span = {"first": samples["as_of"].min() - reach, "last": samples["as_of"].max()}  # type: ignore[operator]
    amounts = ", ".join(f"sum({amount}) as {measure}" for measure, amount in _amounts(feed).items())
    con.execute(
        f"""create or replace temp table parity_events as
            select {", ".join(COLUMNS.values())}, date_trunc('hour', known_at) as hour, event_type, value
            from (
                select events.*, posts.author_id, posts.topic from {EVENTS} as events
                asof left join ({versions("raw.posts", "post_id", ("author_id", "topic"))}) as posts
                    on events.post_id = posts.post_id and events.known_at >= posts.known_at
            ) where {OF_SAMPLES}""",
        span,
    )
    hours, prior = known.window_hours[known.prior_window], known.prior_impressions
    global_rates = "".join(
        f", (coalesce(sum({measure}), 0) + 1) / (coalesce(sum({IMPRESSIONS}), 0) + {prior}) as global_{rate}"
        for rate, measure in rates(feed).items()
    )
    con.execute(
        f"""create or replace temp table parity_rates as
            select as_of{global_rates} from (select distinct as_of from parity_rows)
            left join (
                select date_trunc('hour', known_at) as hour, {amounts} from {EVENTS} as events group by all
            ) on hour >= as_of - interval {hours} hour and hour < as_of
            group by as_of""",
        span,
    )


def _amounts(feed: Feed) -> dict[str, str]:
    """What one event adds to each measure, as SQL of event_type and value."""
    known = definitions()
    counted = {event: measure_of(event) for event in feed.event_types}
    events = {name: f"event_type = '{event}'" for event, name in counted.items() if name}
    conditions = {IMPRESSIONS: "event_type = 'impression'", **events, **known.counted}
    totals = {
        measure: f"if(event_type = '{event}', coalesce(try_cast(value as bigint), 0), 0)"
        for event, measure in known.totals.items()
    }
    return {name: totals.get(name) or f"if({conditions[name]}, 1, 0)" for name in measures(feed)}


def _group_sql(group: str, feed: Feed) -> str:
    """SQL of an entity group's stored features, as float, one row per sample in their order."""
    known = definitions()
    entity = [COLUMNS[part] for part in group.split("_")]
    columns = ", ".join(entity)
    sums = [
        f"sum({measure}) filter (where hour >= as_of - interval {known.window_hours[window]} hour)"
        f" as {measure}_{window}"
        for window in known.windows[group]
        for measure in measures(feed)
    ]
    last = [
        f"max(hour) filter (where {measure} > 0) as last_{event}" for event, measure in recency(feed).items()
    ]
    derived = [
        f", cast({one.sql} as {one.type}) as {name}" for name, one in known.derived.items() if one.of == group
    ]
    added = ", ".join(f"sum({amount}) as {measure}" for measure, amount in _amounts(feed).items())
    return f"""
        with tallies as (
            select {columns}, hour, {added} from parity_events semi join parity_rows using ({columns})
            group by all
        ),
        windows as (
            select {columns}, as_of, {", ".join([*sums, *last])}
            from (select distinct {columns}, as_of from parity_rows) as wanted
            join tallies using ({columns})
            where hour < as_of and hour >= as_of - interval {known.window_hours[longest_window(group)]} hour
            group by all
        ),
        features as (
            select number, {", ".join(_feature_columns(group, feed))}
            from parity_rows join parity_rates using (as_of) left join windows using ({columns}, as_of)
        )
        select {", ".join(f"cast({name} as float) as {name}" for name in stored_names(group, feed))}
        from (select *{"".join(derived)} from features) order by number"""


def _feature_columns(group: str, feed: Feed) -> list[str]:
    """A group's features but for the derived ones, out of window sums, last hours and global rates."""
    known = definitions()
    prior = known.prior_impressions
    columns = []
    for window in known.windows[group]:
        count = {measure: f"cast(coalesce({measure}_{window}, 0) as bigint)" for measure in measures(feed)}
        columns += [f"{count[measure]} as {group}_{measure}_{window}" for measure in measures(feed)]
        columns += [
            f"cast(({count[measure]} + {prior} * global_{rate}) / ({count[IMPRESSIONS]} + {prior}) as float)"
            f" as {group}_{rate}_{window}"
            for rate, measure in rates(feed).items()
        ]
    hours = "cast(date_diff('hour', last_{0}, as_of) as integer) as {1}_hours_since_{0}"
    return columns + [hours.format(event, group) for event in recency(feed)]
