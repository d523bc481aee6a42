"""The SQL of candidates, over the tables of `events`."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from feed_platform.features.candidates.events import is_one_of, known
from feed_platform.feed import Feed
from feed_platform.lake.erased import PREFIX

DAY, WEEK = timedelta(days=1), timedelta(days=7)
PRIOR_IMPRESSIONS = 20.0
DECIMALS = 12
LISTED, OF_TOPIC, OF_AUTHOR = 1_000, 200, 20  # posts
TOPICS, AUTHORS, ENGAGED, SEEN, HIDDEN = 5, 10, 20, 500, 10_000  # of each person
IS_SOMEBODY = f"user_id is not null and user_id not like '{PREFIX}%'"

ORDERS = {
    "fresh": f"""select row from feed_posts where created_at is not null
        order by created_at desc, row limit {LISTED}""",
    "trending": f"select row from feed_scores where is_wanted order by score desc, row limit {LISTED}",
}
AUTHOR_KEYS = "select author_key from feed_authors order by place"
AUTHOR_IDS = "select author_id from feed_authors order by place"
USERS = "select user_key from feed_users order by place"


def _of_user(items: str, most: int, order: str) -> tuple[str, str]:
    """Lists by user of a relation's `item`s."""
    return (
        "users",
        f"""select place as owner, item from ({items}) join feed_users using (user_key)
            qualify row_number() over (partition by user_key order by {order}, item) <= {most}
            order by owner, {order}, item""",
    )


LISTS = {
    "of_topic": (
        "topics",
        f"""select code as owner, row as item from feed_scores join feed_topics using (topic)
            qualify row_number() over (partition by code order by score desc, row) <= {OF_TOPIC}
            order by owner, score desc, row""",
    ),
    "of_author": (
        "authors",
        f"""select place as owner, row as item from feed_posts join feed_authors using (author_id)
            qualify row_number() over (partition by place order by created_at desc nulls last, row)
                <= {OF_AUTHOR}
            order by owner, created_at desc nulls last, row""",
    ),
    "user_topics": _of_user(
        """select user_key, code as item, count(*) as n, max(last_at) as last_at
            from feed_engaged join feed_posts using (row) join feed_topics using (topic) group by all""",
        TOPICS,
        "n desc, last_at desc",
    ),
    "user_authors": _of_user(
        """select user_key, place as item, count(*) as n, max(last_at) as last_at
            from feed_engaged join feed_posts using (row)
            join (select author_id, place from feed_authors) using (author_id) group by all""",
        AUTHORS,
        "n desc, last_at desc",
    ),
    "user_engaged": _of_user(
        "select user_key, row as item, last_at from feed_engaged", ENGAGED, "last_at desc"
    ),
    "user_seen": _of_user("select user_key, row as item, last_at from feed_seen", SEEN, "last_at desc"),
    "user_hidden": _of_user("select user_key, row as item, last_at from feed_hidden", HIDDEN, "last_at desc"),
}


def tables(feed: Feed, as_of: datetime, seen: timedelta) -> Iterator[str]:
    """Statements that make the temporary tables which `ORDERS`, `LISTS` and the others read.

    They read a table `topic_names` (topic, code) and those of `events`.
    """
    for name, query in (
        ("feed_topics", "select topic, code from topic_names"),
        ("feed_scores", _scores(feed, as_of)),
        ("feed_seen", _seen(as_of, seen)),
        ("feed_hidden", _hidden(feed, as_of)),
        ("feed_authors", _numbered("author", "select author_id from feed_posts where author_id is not null")),
        ("feed_users", _numbered("user", _people())),
    ):
        yield f"create or replace temp table {name} as {query}"


def _numbered(owner: str, ids: str) -> str:
    """Ids with their keys and their places in the order of keys, from 0."""
    return f"""
        select {owner}_id, md5_number_lower({owner}_id) as {owner}_key,
            row_number() over (order by {owner}_key) - 1 as place
        from (select distinct {owner}_id from ({ids}))"""


def _people() -> str:
    sources = (f"select user_id from {table}" for table in ("feed_engaged", "feed_seen", "feed_hidden"))
    return f"select user_id from ({' union '.join(sources)}) where {IS_SOMEBODY}"


def _scores(feed: Feed, as_of: datetime) -> str:
    """Each post's smoothed rate over a week, times how much is done with it: the last day counts most."""
    return f"""
        with shown as (
            select row, count(*) as n from raw.impressions join feed_posts using (post_id)
            where {known(as_of, WEEK)} group by row
        ),
        done as (
            select row, count(*) as n, count(*) filter (where {known(as_of, DAY)}) as today
            from raw.engagements join feed_posts using (post_id)
            where {known(as_of, WEEK)} and {is_one_of(feed.wanted_events)} group by row
        ),
        counted as (
            select row, topic, coalesce(shown.n, 0) as shown, coalesce(done.n, 0) as done,
                coalesce(today, 0) as today
            from feed_posts left join shown using (row) left join done using (row)
        ),
        overall as (select sum(done) / greatest(sum(shown), 1) as rate from counted)
        select row, topic, done > 0 as is_wanted, round(
            (done + {PRIOR_IMPRESSIONS} * rate) / (shown + {PRIOR_IMPRESSIONS}) * ln(2 + today + done / 7),
            {DECIMALS}) as score
        from counted, overall"""


def _seen(as_of: datetime, seen: timedelta) -> str:
    """What each person was shown or did something with."""
    return f"""
        select user_id, md5_number_lower(user_id) as user_key, row, max(known_at) as last_at
        from (
            select user_id, post_id, known_at from raw.impressions where {known(as_of, seen)}
            union all select user_id, post_id, known_at from raw.engagements where {known(as_of, seen)}
        ) join feed_posts using (post_id)
        where {IS_SOMEBODY} group by all"""


def _hidden(feed: Feed, as_of: datetime) -> str:
    return f"""
        select user_id, md5_number_lower(user_id) as user_key, row, max(known_at) as last_at
        from raw.engagements join feed_posts using (post_id)
        where {known(as_of)} and {is_one_of(feed.hiding_events)} and {IS_SOMEBODY} group by all"""
