"""The feed's clock and its seal, the instant before which history never changes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb

from feed_platform.feed import Feed
from feed_platform.lake.connection import Lake
from feed_platform.lake.tables import has_table

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def day_of(instant: datetime) -> datetime:
    """The start of an instant's UTC day."""
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)


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
    return day_of(newest) + DAY


def seal(con: duckdb.DuckDBPyConnection, feed: Feed) -> datetime:
    """The instant up to which the past is closed: rows that come later count from here on."""
    row = con.execute("select max(sealed_until) from raw.seals").fetchone()
    return row[0] if row and row[0] else feed.start_at


def move_seal(con: duckdb.DuckDBPyConnection, feed: Feed) -> datetime:
    """Close the past up to the hour that serving uses now, inside the caller's write transaction."""
    current, target = seal(con, feed), as_of_now(con, feed)
    if target <= current:
        return current
    con.execute("insert into raw.seals values (?, now()::timestamp)", [target])
    return target


def close_log(lake: Lake, feed: Feed, until: datetime) -> None:
    """Close a log's past before it is built, if the build reaches its end; live feeds close at ingest."""
    with lake.read() as con:
        is_open = feed.clock == "log" and seal(con, feed) < as_of_now(con, feed) < until
    if is_open:
        with lake.write("the log's past is closed") as con:
            move_seal(con, feed)


def reopen(con: duckdb.DuckDBPyConnection, known_from: datetime) -> None:
    """Note that history from an instant on has changed, inside the caller's write transaction.

    The next build of the features begins there. Training examples that matured since are taken back:
    they are written anew from the rebuilt features.
    """
    con.execute("insert into raw.reopened values (?, now()::timestamp)", [known_from])
    if has_table(con, "training.examples"):
        con.execute("delete from training.examples where matured_at >= ?", [known_from])


@dataclass(frozen=True)
class Reopened:
    """History that has changed from `known_from` on and isn't built yet; `noted_at` is the last such news."""

    known_from: datetime
    noted_at: datetime


def reopened(con: duckdb.DuckDBPyConnection) -> Reopened | None:
    """The history that waits to be built anew, if any."""
    row = con.execute("select min(known_from), max(reopened_at) from raw.reopened").fetchone()
    return Reopened(*row) if row and row[0] else None


def close_again(con: duckdb.DuckDBPyConnection, built: Reopened | None) -> None:
    """Note that reopened history was built, inside the caller's write transaction."""
    if built is not None:
        con.execute("delete from raw.reopened where reopened_at <= ?", [built.noted_at])


def as_of_now(con: duckdb.DuckDBPyConnection, feed: Feed) -> datetime:
    """The hour whose features a request made now is served with: `feature_delay` back, then the full hour."""
    return as_of(now(con, feed), feed)


def as_of(instant: datetime, feed: Feed) -> datetime:
    """The hour whose features belong to an instant.

    Example:
        >>> feed = Feed(start="2026-01-01", feature_delay_minutes=10)
        >>> as_of(datetime(2026, 1, 1, 9, 5), feed), as_of(datetime(2026, 1, 1, 9, 10), feed)
        (datetime.datetime(2026, 1, 1, 8, 0), datetime.datetime(2026, 1, 1, 9, 0))
    """
    return (instant - feed.feature_delay).replace(minute=0, second=0, microsecond=0)
