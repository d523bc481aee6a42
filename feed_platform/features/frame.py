"""The training frame: matured impressions with their labels and every feature of the catalogue."""

from datetime import datetime

import duckdb
import numpy as np
import polars as pl

from feed_platform.features.catalogue import GROUPS, feature_names, stored_names
from feed_platform.features.on_demand import ON_DEMAND, category_codes, on_demand
from feed_platform.feed import EVENT_TYPES, AttributeKind, Feed

FACTS = (
    "impression_id",
    "user_id",
    "post_id",
    "topic",
    "request_id",
    "shown_at",
    "as_of",
    "matured_at",
    "position",
    "propensity",
    "policy",
)
LABELS = tuple(f"label_{event}" for event in EVENT_TYPES)


def training_frame(
    con: duckdb.DuckDBPyConnection, feed: Feed, start: datetime, end: datetime
) -> pl.DataFrame:
    """Impressions that matured in the days [start, end), ordered by (matured_at, impression_id).

    Columns: impression_id, user_id, post_id, topic, request_id, shown_at, as_of, matured_at, position,
    propensity, policy, `label_<event>` (0 or 1) for each event type, then every name of
    `feature_names(feed)` as Float32. `position` is both a fact and a feature and comes once, as Float32.

    Args:
        con: the lake, at the version of the last good build.
        feed: whose attributes to add.
        start: first day (UTC midnight).
        end: the day after the last one.
    """
    rows = con.execute(_query(feed), {"start": start, "end": end}).pl()
    moments = on_demand(
        rows["decided_at"].to_numpy(),
        rows["created_at"].to_numpy(),
        rows["position"].cast(pl.Float64).to_numpy(),
    )
    computed = [pl.Series(name, moments[:, i]) for i, name in enumerate(ON_DEMAND)]
    attributes = [
        encode_attribute(rows[f"{owner}_attr_{name}"], kind)
        for owner, kinds in (("user", feed.attributes.users), ("post", feed.attributes.posts))
        for name, kind in kinds.items()
    ]
    columns = list(dict.fromkeys((*FACTS, *LABELS, *feature_names(feed))))
    return rows.with_columns(*computed, *attributes).select(columns)


def encode_attribute(values: pl.Series, kind: AttributeKind) -> pl.Series:
    """An attribute's values as Float32: a category's code, a number as it is; NaN where it is missing."""
    if kind == "category":
        return pl.Series(values.name, category_codes(values.to_list()))
    return values.cast(pl.Float32).fill_null(np.nan)


def versions(table: str, key: str, columns: tuple[str, ...]) -> str:
    """SQL of a raw table's versions: one row per (key, known_at), the one received or written last."""
    return f"""select {", ".join((key, "known_at", *columns))} from {table}
        qualify row_number() over (
            partition by {key}, known_at order by received_at desc nulls last, rowid desc) = 1"""


def _query(feed: Feed) -> str:
    stored = [f"cast(features.{name} as float) as {name}" for group in GROUPS for name in stored_names(group)]
    owners = (("user", feed.attributes.users), ("post", feed.attributes.posts))
    attributes = [f'{owner}s."{name}" as {owner}_attr_{name}' for owner, names in owners for name in names]
    joins = [_attribute_join(owner, tuple(names)) for owner, names in owners if names]
    facts = [f"{'labels' if name == 'matured_at' else 'features'}.{name}" for name in FACTS]
    selected = [*facts, *(f"labels.{name}" for name in LABELS), "features.decided_at", "features.created_at"]
    return f"""
        select {", ".join([*selected, *stored, *attributes])}
        from marts.labels
        join marts.impression_features as features using (impression_id)
        {" ".join(joins)}
        where labels.matured_day >= cast($start as date) and labels.matured_day < cast($end as date)
        order by labels.matured_at, features.impression_id"""


def _attribute_join(owner: str, names: tuple[str, ...]) -> str:
    quoted = tuple(f'"{name}"' for name in names)
    return f"""asof left join ({versions(f"raw.{owner}s", f"{owner}_id", quoted)}) as {owner}s
        on {owner}s.{owner}_id = features.{owner}_id and {owner}s.known_at <= features.attributes_at"""
