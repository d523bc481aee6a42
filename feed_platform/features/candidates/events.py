"""The posts and events that candidates are made of, as temporary tables of one connection to the lake."""

from datetime import datetime, timedelta

import duckdb

from feed_platform.features.frame import versions
from feed_platform.feed import Feed
from feed_platform.interactions.schemas import instant_literal, literal

ACTIVE = timedelta(days=28)
ENGAGED_KEPT = 50  # per person: neighbours cost its square


def make_tables(con: duckdb.DuckDBPyConnection, feed: Feed, as_of: datetime) -> None:
    """Make `feed_posts` and `feed_engaged`, of what was known before an hour (UTC, naive).

    `feed_posts`: row (the post's in the snapshot's arrays, from 1), post_id, author_id, topic, created_at of
    the posts that weren't removed and were created, shown or engaged with in the last 28 days.
    `feed_engaged`: user_id, user_key, row, last_at: who engaged with which of them then, and when last.
    """
    con.execute(f"create or replace temp table feed_posts as {_posts(as_of)}")
    con.execute(
        f"""create or replace temp table feed_engaged as
            select user_id, md5_number_lower(user_id) as user_key, row, max(known_at) as last_at
            from raw.engagements join feed_posts using (post_id)
            where {known(as_of, ACTIVE)} and user_id is not null and {is_one_of(feed.wanted_events)}
            group by all"""
    )


def known(as_of: datetime, span: timedelta | None = None) -> str:
    """SQL of the events known before an hour, in the time before it."""
    since = f" and known_at >= {instant_literal(as_of - span)}" if span is not None else ""
    return f"known_at < {instant_literal(as_of)}{since}"


def is_one_of(events: tuple[str, ...]) -> str:
    """SQL of the engagements of some types."""
    return f"event_type in ({', '.join(map(literal, events)) or 'null'})"


def _posts(as_of: datetime) -> str:
    return f"""
        with latest as (
            from ({versions("raw.posts", "post_id", ("author_id", "topic", "created_at", "removed_at"))})
            where known_at < {instant_literal(as_of)}
            qualify row_number() over (partition by post_id order by known_at desc) = 1
        ),
        numbered as (select *, row_number() over (order by md5_number_lower(post_id)) as row from latest),
        active as (
            select post_id from raw.impressions where {known(as_of, ACTIVE)}
            union select post_id from raw.engagements where {known(as_of, ACTIVE)}
        )
        select cast(row as integer) as row, post_id, author_id, topic, created_at from numbered
        where (removed_at is null or removed_at > {instant_literal(as_of)})
            and (created_at >= {instant_literal(as_of - ACTIVE)} or post_id in (from active))"""
