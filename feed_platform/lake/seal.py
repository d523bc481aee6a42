"""The feed's clock and its seal, the instant before which history never changes."""

from datetime import UTC, datetime, timedelta

import duckdb

from feed_platform.feed import Feed

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def now(con: duckdb.DuckDBPyConnection, feed: Feed) -> datetime:
    """What time it is for this feed (UTC, naive).

    `live`: the machine's time. `log`: the end of the newest imported day, so that a log of
    years ago gives a usable snapshot.
    """
    if feed.clock == "live":
        return datetime.now(UTC).replace(tzinfo=None)
    row = con.execute(
        "select max(known_at) from (select known_at from raw.impressions "
        "union all select known_at from raw.engagements)"
    ).fetchone()
    newest = row[0] if row and row[0] else feed.start_at
    return newest.replace(hour=0, minute=0, second=0, microsecond=0) + DAY


def seal(con: duckdb.DuckDBPyConnection, feed: Feed) -> datetime:
    """The instant up to which the past is closed: rows that come later count from here on."""
    row = con.execute("select max(sealed_until) from raw.seals").fetchone()
    return row[0] if row and row[0] else feed.start_at


def move_seal(con: duckdb.DuckDBPyConnection, feed: Feed) -> datetime:
    """Close the past up to the last full hour, inside the caller's write transaction."""
    current, target = seal(con, feed), as_of_now(con, feed)
    if target <= current:
        return current
    con.execute("insert into raw.seals values (?, now()::timestamp)", [target])
    return target


def as_of_now(con: duckdb.DuckDBPyConnection, feed: Feed) -> datetime:
    """The last full hour on the feed's clock."""
    return now(con, feed).replace(minute=0, second=0, microsecond=0)
