"""The arrays of an online snapshot, read from the lake at a build's version."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl

from feed_platform.features.catalogue import GROUPS, stored_names
from feed_platform.features.frame import versions
from feed_platform.features.keys import Keys
from feed_platform.features.on_demand import encode
from feed_platform.features.packed import CHUNK_ROWS, PARTS, Arrays, Chunks, Floats, Rate, Table, pack
from feed_platform.features.project import IMPRESSIONS, definitions, rates
from feed_platform.feed import AttributeKind, Feed
from feed_platform.lake.erased import PREFIX

NEVER = np.datetime64("NaT", "us")
SAMPLED, SAMPLE_SPAN = 8, timedelta(days=7)


def read_arrays(con: duckdb.DuckDBPyConnection, feed: Feed, as_of: datetime) -> Arrays:
    """Every array of the snapshot: feature groups, post metadata, attributes.

    `<group>.keys` uint64 (n,) ascending and the other parts of a packed table; `posts.*` and `users.*` are
    keys and a column per field. `posts.author` uint64 is the author's key; `topics.names` bytes (t,) is what
    `posts.topic` int32 points into, 0 for none, and `zones.names` the same for `users.zone`.
    `<owner>.attr.<name>` is an encoded attribute; `sample.users` bytes (s,) is `SAMPLED` people's ids, for
    looking at their feeds.
    """
    arrays: Arrays = {}
    for group in GROUPS:
        arrays |= _group_arrays(con, feed, group)
    return arrays | _post_arrays(con, feed, as_of) | _user_arrays(con, feed, as_of) | _sample(con, as_of)


def content_hash(text: str, arrays: Arrays) -> str:
    """The name of what a text and arrays say together: 32 hex digits."""
    digest = sha256(text.encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).view(np.uint8).data)
    return digest.hexdigest()[:32]


def _group_arrays(con: duckdb.DuckDBPyConnection, feed: Feed, group: str) -> Arrays:
    columns = ", ".join(f"cast({name} as float) as {name}" for name in stored_names(group, feed))
    query = f"select {group}_key as key, {columns} from features.online_{group}"

    def chunks() -> Iterator[tuple[Keys, Floats]]:
        for batch in con.execute(f"{query} order by key").fetch_record_batch(CHUNK_ROWS):
            frame = pl.DataFrame(pl.from_arrow(batch))
            values = frame.drop("key").to_numpy().astype(np.float32, order="C")
            yield frame["key"].to_numpy().astype(np.uint64), values

    return packed_group(group, chunks, _rates(con, feed, group))


def packed_group(group: str, chunks: Chunks, follow: Sequence[Rate] = ()) -> Arrays:
    """The arrays of one entity group."""
    return {f"{group}.{part}": array for part, array in pack(chunks, follow).items()}


def group_table(arrays: Arrays, group: str) -> Table:
    """The table of one entity group among a snapshot's arrays."""
    return Table({part: arrays[f"{group}.{part}"] for part in PARTS})


def _rates(con: duckdb.DuckDBPyConnection, feed: Feed, group: str) -> list[Rate]:
    """What a group's smoothed rates follow from, as of the snapshot's hour."""
    of, prior = rates(feed), definitions().prior_impressions
    if not of:
        return []
    found = con.execute(f"select {', '.join(f'global_{rate}' for rate in of)} from features.online_global")
    priors = dict(zip(of, found.fetchall()[0], strict=True))
    places = {name: place for place, name in enumerate(stored_names(group, feed))}
    return [
        Rate(
            places[f"{group}_{rate}_{window}"],
            places[f"{group}_{measure}_{window}"],
            places[f"{group}_{IMPRESSIONS}_{window}"],
            prior * priors[rate],
            prior,
        )
        for window in definitions().windows[group]
        for rate, measure in of.items()
    ]


def _post_arrays(con: duckdb.DuckDBPyConnection, feed: Feed, as_of: datetime) -> Arrays:
    kinds = feed.attributes.posts
    facts = ("author_id", "topic", "created_at", "removed_at")
    posts = _latest_versions(con, "raw.posts", "post_id", (*facts, *kinds), as_of)
    topics, topic_codes = _names(posts["topic"])
    authors = posts["author_key"].to_numpy()
    return {
        "posts.keys": _with_unknown(posts["key"].to_numpy(), np.uint64(0)),
        "posts.ids": _with_unknown(_bytes(posts["post_id"]), b""),
        "posts.author": _with_unknown(authors, np.uint64(0)),
        "posts.topic": topic_codes,
        "posts.created_at": _with_unknown(_times(posts["created_at"]), NEVER),
        "posts.removed_at": _with_unknown(_times(posts["removed_at"]), NEVER),
        "topics.names": topics,
        **_attributes("posts", posts, kinds),
    }


def _user_arrays(con: duckdb.DuckDBPyConnection, feed: Feed, as_of: datetime) -> Arrays:
    kinds = feed.attributes.users
    users = _latest_versions(con, "raw.users", "user_id", tuple(kinds), as_of)
    arrays = {
        "users.keys": _with_unknown(users["key"].to_numpy(), np.uint64(0)),
        **_attributes("users", users, kinds),
    }
    if feed.attributes.time_zone:
        arrays["zones.names"], arrays["users.zone"] = _names(users[feed.attributes.time_zone])
    return arrays


def _sample(con: duckdb.DuckDBPyConnection, as_of: datetime) -> Arrays:
    """Those who engaged most in the last week: their feeds have something to show."""
    found = con.execute(
        f"""select user_id from raw.engagements
            where known_at >= $since and known_at < $until
              and user_id is not null and user_id not like '{PREFIX}%'
            group by user_id order by count(*) desc, user_id limit {SAMPLED}""",
        {"since": as_of - SAMPLE_SPAN, "until": as_of},
    ).pl()
    return {"sample.users": _bytes(found["user_id"])}


def _names(values: pl.Series) -> tuple[npt.NDArray[np.bytes_], npt.NDArray[np.int32]]:
    """The distinct names, the unknown one first, and the place of each value's name among them."""
    names = values.drop_nulls().unique().sort()
    places = {name: place for place, name in enumerate(names, start=1)}
    codes = np.array([0, *(places.get(value, 0) for value in values)], dtype=np.int32)
    return _with_unknown(_bytes(names), b""), codes


def _latest_versions(
    con: duckdb.DuckDBPyConnection, table: str, key: str, columns: tuple[str, ...], as_of: datetime
) -> pl.DataFrame:
    quoted = tuple(f'"{column}"' for column in columns)
    return con.execute(
        f"""select md5_number_lower({key}) as key, {_author_key(columns)} *
            from ({versions(table, key, quoted)}) as versions
            where known_at < ?
            qualify row_number() over (partition by {key} order by known_at desc) = 1
            order by key""",
        [as_of],
    ).pl()


def _author_key(columns: tuple[str, ...]) -> str:
    return "coalesce(md5_number_lower(author_id), 0) as author_key," if "author_id" in columns else ""


def _attributes(owner: str, rows: pl.DataFrame, kinds: dict[str, AttributeKind]) -> Arrays:
    """Each attribute's encoded values; the first row is the unknown's."""
    with_nobody = pl.concat([rows.clear(1), rows]).select(list(kinds))
    return {f"{owner}.attr.{name}": encode(with_nobody[name], kind) for name, kind in kinds.items()}


def _times(column: pl.Series) -> npt.NDArray[np.datetime64]:
    return column.cast(pl.Datetime("us")).to_numpy()


def _bytes(column: pl.Series) -> npt.NDArray[np.bytes_]:
    return np.array([text.encode() for text in column], dtype=np.bytes_)


def _with_unknown(values: npt.NDArray[Any], unknown: Any) -> npt.NDArray[Any]:
    return np.concatenate([np.array([unknown], dtype=values.dtype), values])
