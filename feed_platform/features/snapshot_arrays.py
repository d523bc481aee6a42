"""The arrays of an online snapshot, read from the lake at a build's version."""

from datetime import datetime
from hashlib import sha256
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl

from feed_platform.features.catalogue import GROUPS, stored_names
from feed_platform.features.frame import encode_attribute, versions
from feed_platform.feed import AttributeKind, Feed

Arrays = dict[str, npt.NDArray[Any]]
NEVER = np.datetime64("NaT", "us")


def read_arrays(con: duckdb.DuckDBPyConnection, feed: Feed, as_of: datetime) -> Arrays:
    """Every array of the snapshot: feature groups, post metadata, user attributes.

    `<group>.keys` uint64 (n,) ascending, `<group>.values` float32 (n, k); `posts.*` and `users.*` in the
    same way, `topics.names` bytes (t,) that `posts.topic` int32 points into, 0 for none.
    """
    arrays: Arrays = {}
    for group in GROUPS:
        arrays |= _group_arrays(con, group)
    return arrays | _post_arrays(con, feed, as_of) | _user_arrays(con, feed, as_of)


def content_hash(text: str, arrays: Arrays) -> str:
    """The name of what a text and arrays say together: 32 hex digits."""
    digest = sha256(text.encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).view(np.uint8).data)
    return digest.hexdigest()[:32]


def _group_arrays(con: duckdb.DuckDBPyConnection, group: str) -> Arrays:
    names = stored_names(group)
    columns = ", ".join(f"cast({name} as float) as {name}" for name in names)
    rows = con.execute(f"select {group}_key, {columns} from features.online_{group} order by 1").fetchnumpy()
    return {
        f"{group}.keys": rows[f"{group}_key"].astype(np.uint64),
        f"{group}.values": np.column_stack([rows[name] for name in names]).astype(np.float32),
    }


def _post_arrays(con: duckdb.DuckDBPyConnection, feed: Feed, as_of: datetime) -> Arrays:
    kinds = feed.attributes.posts
    facts = ("topic", "created_at", "removed_at")
    posts = _latest_versions(con, "raw.posts", "post_id", (*facts, *kinds), as_of)
    topics = posts["topic"].drop_nulls().unique().sort()
    codes = {topic: code for code, topic in enumerate(topics, start=1)}
    return {
        "posts.keys": _with_unknown(posts["key"].to_numpy(), np.uint64(0)),
        "posts.ids": _with_unknown(_bytes(posts["post_id"]), b""),
        "posts.topic": _with_unknown(
            np.array([codes.get(topic, 0) for topic in posts["topic"]], dtype=np.int32), np.int32(0)
        ),
        "posts.created_at": _with_unknown(_times(posts["created_at"]), NEVER),
        "posts.removed_at": _with_unknown(_times(posts["removed_at"]), NEVER),
        "posts.attributes": _attributes(posts, kinds),
        "topics.names": _with_unknown(_bytes(topics), b""),
    }


def _user_arrays(con: duckdb.DuckDBPyConnection, feed: Feed, as_of: datetime) -> Arrays:
    kinds = feed.attributes.users
    users = _latest_versions(con, "raw.users", "user_id", tuple(kinds), as_of)
    return {
        "users.keys": _with_unknown(users["key"].to_numpy(), np.uint64(0)),
        "users.attributes": _attributes(users, kinds),
    }


def _latest_versions(
    con: duckdb.DuckDBPyConnection, table: str, key: str, columns: tuple[str, ...], as_of: datetime
) -> pl.DataFrame:
    quoted = tuple(f'"{column}"' for column in columns)
    return con.execute(
        f"""select md5_number_lower({key}) as key, * from ({versions(table, key, quoted)}) as versions
            where known_at < ?
            qualify row_number() over (partition by {key} order by known_at desc) = 1
            order by key""",
        [as_of],
    ).pl()


def _attributes(rows: pl.DataFrame, kinds: dict[str, AttributeKind]) -> npt.NDArray[np.float32]:
    values = np.full((len(rows) + 1, len(kinds)), np.nan, dtype=np.float32)
    for column, (name, kind) in enumerate(kinds.items()):
        values[1:, column] = encode_attribute(rows[name], kind).to_numpy()
    return values


def _times(column: pl.Series) -> npt.NDArray[np.datetime64]:
    return column.cast(pl.Datetime("us")).to_numpy()


def _bytes(column: pl.Series) -> npt.NDArray[np.bytes_]:
    return np.array([text.encode() for text in column], dtype=np.bytes_)


def _with_unknown(values: npt.NDArray[Any], unknown: Any) -> npt.NDArray[Any]:
    return np.concatenate([np.array([unknown], dtype=values.dtype), values])
