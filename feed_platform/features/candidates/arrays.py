"""The candidates as arrays of a snapshot, read from the lake."""

from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl

from feed_platform.features.candidates import queries
from feed_platform.features.candidates.events import make_tables
from feed_platform.features.candidates.neighbours import TABLE
from feed_platform.features.snapshot_arrays import Arrays
from feed_platform.feed import Feed
from feed_platform.lake.tables import has_table


def read_candidates(con: duckdb.DuckDBPyConnection, feed: Feed, as_of: datetime, snapshot: Arrays) -> Arrays:
    """Every array of the candidates but the neighbours.

    Posts are rows of the snapshot's `posts.keys`, int32; topics are places in its `topics.names`. Lists of
    many things are two arrays: those of i are `<name>.items[<name>.offsets[i]:<name>.offsets[i + 1]]`, the
    best or newest first.

    - `feed.fresh`, `feed.trending`: posts, the best first;
    - `feed.of_topic`, `feed.of_author`: a topic's and an author's posts;
    - `feed.author_keys` uint64 ascending, `feed.author_ids` bytes: the authors;
    - `feed.users` uint64 ascending: the people's keys; `feed.user_topics`, `feed.user_authors`,
      `feed.user_engaged`, `feed.user_seen`, `feed.user_hidden`: what each person engages with, has seen in
      the last `seen_days`, has hidden.

    Args:
        con: the lake at the build's version; temporary tables are made in it.
        as_of: the build's hour (UTC, naive).
        snapshot: the snapshot's other arrays.
    """
    make_tables(con, feed, as_of)
    names = [str(name, "utf-8") for name in snapshot["topics.names"][1:]]
    _make_lists(con, feed, as_of, names)
    owners = {"topics": len(names) + 1, "authors": _count(con, "authors"), "users": _count(con, "users")}
    arrays = {f"feed.{name}": _column(con, query, np.int32) for name, query in queries.ORDERS.items()}
    arrays["feed.author_keys"] = _column(con, queries.AUTHOR_KEYS, np.uint64)
    arrays["feed.author_ids"] = _texts(con, queries.AUTHOR_IDS)
    arrays["feed.users"] = _column(con, queries.USERS, np.uint64)
    for name, (owner, query) in queries.LISTS.items():
        arrays |= _lists(name, con.execute(query).fetchnumpy(), owners[owner])
    return arrays


def _make_lists(con: duckdb.DuckDBPyConnection, feed: Feed, as_of: datetime, topics: list[str]) -> None:
    """Make the tables of `queries`."""
    con.register("topic_names", pl.DataFrame({"topic": topics, "code": range(1, len(topics) + 1)}))
    for statement in queries.tables(feed, as_of, timedelta(days=feed.serving.feed.seen_days)):
        con.execute(statement)
    con.unregister("topic_names")


def read_neighbours(con: duckdb.DuckDBPyConnection, snapshot: Arrays) -> Arrays:
    """`feed.similar`, lists by post as `read_candidates` describes them: a post's neighbours.

    Args:
        con: the lake as it is now.
        snapshot: the snapshot's other arrays.
    """
    known = snapshot["posts.keys"]
    if not has_table(con, TABLE):
        return _lists("similar", {"owner": known[:0], "item": known[:0]}, len(known))
    found = con.execute(
        f"""select md5_number_lower(post_id) as owner, md5_number_lower(neighbour_id) as item
            from {TABLE} order by owner, rank"""
    ).fetchnumpy()
    is_known = np.isin(found["owner"], known) & np.isin(found["item"], known)
    rows = {name: np.searchsorted(known, keys[is_known]) for name, keys in found.items()}
    return _lists("similar", rows, len(known))


def _lists(name: str, rows: dict[str, npt.NDArray[Any]], count: int) -> Arrays:
    """Lists of `count` owners from rows in order of their owner."""
    offsets = np.searchsorted(rows["owner"], np.arange(count + 1)).astype(np.uint32)
    return {f"feed.{name}.offsets": offsets, f"feed.{name}.items": rows["item"].astype(np.int32)}


def _column(con: duckdb.DuckDBPyConnection, query: str, kind: type[np.generic]) -> npt.NDArray[Any]:
    (values,) = con.execute(query).fetchnumpy().values()
    return np.asarray(values, dtype=kind)


def _texts(con: duckdb.DuckDBPyConnection, query: str) -> npt.NDArray[np.bytes_]:
    return np.array([text.encode() for (text,) in con.execute(query).fetchall()], dtype=np.bytes_)


def _count(con: duckdb.DuckDBPyConnection, owners: str) -> int:
    row = con.execute(f"select count(*) from feed_{owners}").fetchone()
    assert row is not None
    return int(row[0])
