"""Samples of logged vectors and stored features, compared with what the raw rows give."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl

from feed_platform.features.builds import find_last_build
from feed_platform.features.catalogue import GROUPS, feature_names, stored_names
from feed_platform.features.parity import Floats, recomputed
from feed_platform.feed import Feed

Mask = npt.NDArray[np.bool_]
SHOWN = 5
REQUESTS = 1000
# Ids may be made of user ids, and Dagster's metadata holds none: a row is named by its id's key.
KEY = "md5_number_lower({})::varchar"
# Serving ranks every candidate as if it stood first: the position of a logged vector is 1.
LOGGED = f"""
with newest as (
    select * from serving.requests
    where features_as_of is not null
        and requested_at >= (select max(requested_at) from serving.requests) - interval 7 day
)
select {KEY.format("request_id")} || ' ' || vectors.post_id as key, newest.user_id, vectors.post_id,
    features_as_of as as_of, greatest(features_as_of - interval 1 microsecond, upserts_at) as attributes_at,
    requested_at as at, 1 as position, context, names, vector
from newest join serving.vectors using (request_id)
order by md5(request_id), md5(vectors.post_id) limit $rows
"""
# What is as of the seal or before it never changes again.
STORED = f"""
with settled as (
    select * from marts.impression_features where as_of <= $seal and attributes_at < $seal
),
chosen as (
    (from settled order by known_day desc, shown_at desc, impression_id limit $rows // 2)
    union
    (from settled order by md5(impression_id || $seed) limit $rows - $rows // 2)
)
select {KEY.format("impression_id")} as key, decided_at as at, * from chosen order by impression_id
"""
SHARES = """
with newest as (
    select *, features_as_of is distinct from
        date_trunc('hour', requested_at - to_minutes(cast($delay as bigint))) as is_stale
    from serving.requests
    where requested_at >= (select max(requested_at) from serving.requests) - interval 7 day
),
sampled as (
    select request_id, features_as_of from newest
    where features_as_of is not null order by md5(request_id) limit $requests
),
first_known as (select post_id, min(known_at) as known_at from raw.posts group by post_id)
select (select avg(cast(is_stale as integer)) from newest), (
    select avg(if(coalesce(first_known.known_at < features_as_of, false), 0, 1))
    from sampled join serving.candidates using (request_id) left join first_known using (post_id)
)
"""


@dataclass(frozen=True)
class Differences:
    """How a sample of feature vectors compares with the raw rows.

    Attributes:
        vectors: how many were compared.
        values: how many numbers they hold.
        found: how many of these differ; both missing is no difference.
        by_feature: how many differ of each feature that differs.
        examples: a few of them: `md5_number_lower` of the request's or impression's id, feature, what was
            kept and what the raw rows give.
    """

    vectors: int
    values: int
    found: int
    by_feature: dict[str, int]
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Shares:
    """Of the newest week's requests; None where there are none.

    Attributes:
        stale: share answered with features of another hour than the rule's.
        unknown_posts: share of their candidates (of 1000 requests) that the snapshot didn't know.
    """

    stale: float | None
    unknown_posts: float | None


def logged_differences(con: duckdb.DuckDBPyConnection, feed: Feed, rows: int) -> Differences:
    """Compare vectors that serving logged in the newest week, whole requests chosen by hash.

    A vector says which features it holds: only those that are still in the catalogue are compared.
    """
    samples = con.execute(LOGGED, {"rows": rows}).pl()
    names = feature_names(feed)
    logged, is_there = _by_name(samples["names"].to_list(), samples["vector"].to_list(), names)
    return _compare(samples, names, logged, is_there, recomputed(con, feed, samples))


def stored_differences(con: duckdb.DuckDBPyConnection, feed: Feed, rows: int, seed: int = 0) -> Differences:
    """Compare stored features of the newest impressions and of random ones with the raw rows known before.

    Whatever became known at or after an impression's as_of is no part of its recomputed features.
    """
    build = find_last_build(con)
    if build is None:
        return Differences(0, 0, 0, {}, ())
    samples = con.execute(STORED, {"rows": rows, "seal": build.sealed_until, "seed": str(seed)}).pl()
    names = tuple(name for group in GROUPS for name in stored_names(group, feed))
    stored = samples.select(pl.col(names).cast(pl.Float32)).to_numpy()
    facts = samples.select("user_id", "post_id", "as_of", "attributes_at", "at", "position", "context")
    expected = recomputed(con, feed, facts)[:, [feature_names(feed).index(name) for name in names]]
    return _compare(samples, names, stored, np.ones(stored.shape, dtype=bool), expected)


def shares(con: duckdb.DuckDBPyConnection, feed: Feed) -> Shares:
    """How stale the answers were, and how many of their posts were too new for the snapshot."""
    row = con.execute(SHARES, {"delay": feed.feature_delay_minutes, "requests": REQUESTS}).fetchone()
    return Shares(*row) if row else Shares(None, None)


def _by_name(
    names: Sequence[Sequence[str]], vectors: Sequence[Sequence[float | None]], wanted: Sequence[str]
) -> tuple[Floats, Mask]:
    """Vectors in the order of the wanted names, and which of those each one holds: both (n, wanted)."""
    logged = [dict(zip(*pair, strict=True)) for pair in zip(names, vectors, strict=True)]
    shape = (len(logged), len(wanted))
    values = np.array([[one.get(name) for name in wanted] for one in logged], dtype=np.float32)
    is_there = np.array([[name in one for name in wanted] for one in logged], dtype=bool)
    return values.reshape(shape), is_there.reshape(shape)


def _compare(
    samples: pl.DataFrame, names: Sequence[str], kept: Floats, is_there: Mask, expected: Floats
) -> Differences:
    differs = is_there & (kept != expected) & ~(np.isnan(kept) & np.isnan(expected))
    places = np.argwhere(differs)
    counts = dict(zip(names, differs.sum(axis=0).tolist(), strict=True))
    examples = tuple(
        f"{samples['key'][row]}: {names[column]} is {kept[row, column]:.9g},"
        f" from raw rows {expected[row, column]:.9g}"
        for row, column in places[:SHOWN].tolist()
    )
    by_feature = {name: count for name, count in counts.items() if count}
    return Differences(len(samples), int(is_there.sum()), len(places), by_feature, examples)
