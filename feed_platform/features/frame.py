"""The training frame: matured impressions with their labels and every feature of the catalogue."""

from datetime import datetime

import duckdb
import numpy as np
import polars as pl

from feed_platform.features.catalogue import (
    GROUPS,
    attribute_names,
    context_names,
    feature_names,
    stored_names,
)
from feed_platform.features.on_demand import (
    LOCAL_HOUR,
    ON_DEMAND,
    as_feature,
    category_codes,
    encode,
    local_hours,
    match,
    matches,
    on_demand,
)
from feed_platform.feed import ContextKind, Feed

FACTS = (
    "impression_id",
    "user_id",
    "post_id",
    "author_id",
    "topic",
    "request_id",
    "surface",
    "shown_at",
    "as_of",
    "matured_at",
    "position",
    "propensity",
    "policy",
)


def label_names(feed: Feed) -> tuple[str, ...]:
    """The labels of a feed: one for each event type, 1 where such an engagement followed in time."""
    return tuple(f"label_{event}" for event in feed.event_types)


MATURED = """(
            select * from marts.labels
            where matured_day >= cast($start as date) and matured_day < cast($end as date)
        ) as labels join marts.impression_features as features using (impression_id)"""
KNOWN = """(
            select * from marts.impression_features
            where known_day >= cast($start as date) and known_day < cast($end as date)
            order by md5_number_lower(impression_id) limit $rows
        ) as features"""


def training_frame(
    con: duckdb.DuckDBPyConnection, feed: Feed, start: datetime, end: datetime
) -> pl.DataFrame:
    """Impressions that matured in the days [start, end), ordered by (matured_at, impression_id).

    Columns: impression_id, user_id, post_id, author_id, topic, request_id, surface, shown_at, as_of,
    matured_at, position, propensity, policy, `label_<event>` (0 or 1) for each event type, then every name of
    `feature_names(feed)` as Float32. `position` is both a fact and a feature and comes once, as Float32.

    Args:
        con: the lake, at the version of the last good build.
        feed: whose attributes to add.
        start: first day (UTC midnight).
        end: the day after the last one.
    """
    facts = (*FACTS, *label_names(feed))
    query = _query(feed, facts, MATURED, "labels.matured_at, features.impression_id")
    rows = con.execute(query, {"start": start, "end": end}).pl()
    return with_features(rows, feed).select(list(dict.fromkeys((*facts, *feature_names(feed)))))


def recent_frame(
    con: duckdb.DuckDBPyConnection, feed: Feed, start: datetime, end: datetime, rows: int
) -> pl.DataFrame:
    """A sample of the impressions known on the days [start, end), matured or not, ordered by shown_at.

    Columns: every name of `feature_names(feed)` as Float32, as in `training_frame`.

    Args:
        con: the lake.
        feed: whose attributes to add.
        start: first day (UTC midnight).
        end: the day after the last one.
        rows: at most this many; which ones depends on their ids alone.
    """
    query = _query(feed, ("position",), KNOWN, "features.shown_at, features.impression_id")
    return with_features(con.execute(query, {"start": start, "end": end, "rows": rows}).pl(), feed).select(
        feature_names(feed)
    )


def with_features(rows: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    """The rows with what is computed from them: on-demand features and encoded attributes."""
    moments = on_demand(
        rows["decided_at"].to_numpy(),
        rows["created_at"].to_numpy(),
        rows["position"].cast(pl.Float64).to_numpy(),
    )
    computed = [pl.Series(name, moments[:, i]) for i, name in enumerate(ON_DEMAND)]
    if feed.attributes.time_zone:
        computed.append(pl.Series(LOCAL_HOUR, local_hours(rows["decided_at"].to_numpy(), _zones(rows, feed))))
    computed += [_in_context(rows[f"context_{name}"], kind) for name, kind in feed.attributes.context.items()]
    return rows.with_columns(*computed, *_attribute_features(rows, feed))


def _zones(rows: pl.DataFrame, feed: Feed) -> list[str | None]:
    return rows[f"user_attr_{feed.attributes.time_zone}"].to_list()


def _in_context(values: pl.Series, kind: ContextKind) -> pl.Series:
    """A context key's values, as text, as the numbers that `context_values` makes of them."""
    if kind == "category":
        return pl.Series(values.name, category_codes(values.to_list()))
    return values.cast(pl.Float32, strict=False).fill_null(np.nan)


def _attribute_features(rows: pl.DataFrame, feed: Feed) -> list[pl.Series]:
    declared = feed.attributes
    users = {name: encode(rows[f"user_attr_{name}"], kind) for name, kind in declared.users.items()}
    posts = {name: encode(rows[f"post_attr_{name}"], kind) for name, kind in declared.posts.items()}
    encoded = (*users.values(), *posts.values())
    names = (*attribute_names("user", declared.users), *attribute_names("post", declared.posts))
    shared = [pl.Series(f"match_{name}", match(users[name], posts[name])) for name in matches(declared)]
    features = [pl.Series(name, as_feature(values)) for name, values in zip(names, encoded, strict=True)]
    return features + shared


def versions(table: str, key: str, columns: tuple[str, ...]) -> str:
    """SQL of a raw table's versions: one row per (key, known_at), the one received or written last."""
    return f"""select {", ".join((key, "known_at", *columns))} from {table}
        qualify row_number() over (
            partition by {key}, known_at order by received_at desc nulls last, rowid desc) = 1"""


def _query(feed: Feed, facts: tuple[str, ...], impressions: str, order: str) -> str:
    """SQL of `facts`, stored features and raw attributes of `impressions`, which has a table `features`."""
    stored = [
        f"cast(features.{name} as float) as {name}" for group in GROUPS for name in stored_names(group, feed)
    ]
    owners = (("user", feed.attributes.users), ("post", feed.attributes.posts))
    attributes = [f'{owner}s."{name}" as {owner}_attr_{name}' for owner, names in owners for name in names]
    joins = [_attribute_join(owner, tuple(names)) for owner, names in owners if names]
    context = [
        f"""features.context ->> '$."{name}"' as {column}"""
        for name, column in zip(feed.attributes.context, context_names(feed.attributes), strict=True)
    ]
    of_labels = {"matured_at", *label_names(feed)}
    chosen = [f"{'labels' if name in of_labels else 'features'}.{name}" for name in facts]
    moments = ["features.decided_at", "features.created_at"]
    return f"""
        select {", ".join([*chosen, *moments, *context, *stored, *attributes])}
        from {impressions}
        {" ".join(joins)}
        order by {order}"""


def _attribute_join(owner: str, names: tuple[str, ...]) -> str:
    quoted = tuple(f'"{name}"' for name in names)
    return f"""asof left join ({versions(f"raw.{owner}s", f"{owner}_id", quoted)}) as {owner}s
        on {owner}s.{owner}_id = features.{owner}_id and {owner}s.known_at <= features.attributes_at"""
