"""Raw rows of some days, the same at every call: skewed users, young posts, one post in fifty renamed."""

import duckdb

from benchmarks.features.shape import START

USERS_PER_ROW, POSTS_PER_ROW, AUTHORS_PER_ROW = 1 / 50, 1 / 500, 1 / 5_000
TOPICS, POST_LIFE = 50, 5  # a post is shown within so many days
DAYS_OF_SIZE = 30
MICROSECONDS = 86_400_000_000

# The i-th number in [0, 1) of a stream.
UNIFORM = "(hash({i} * 64 + {stream}) >> 11) / 9007199254740992.0"

POSTS = """
insert into {raw}posts by name
with numbered as (
    select i, timestamp '{start}' + to_microseconds((i * {span})::bigint) as born
    from range({first}, {end}) t(i)
),
versions as (
    select i, born, 0 as version from numbered
    union all select i, born + interval 2 hour, 1 from numbered where i % 50 = 0
)
select 'post-' || i as post_id, 'author-' || hash(i) % {authors} as author_id,
       'topic-' || hash(i + version) % {topics} as topic, born as created_at, born as known_at
from versions
"""
IMPRESSIONS = """
insert into {raw}impressions by name
with numbered as (
    select i, i // 10 as request, (i // 10) * 10 * {span} as offset_us from range({first}, {end}) t(i)
)
select 'imp-' || i as impression_id, 'user-' || (pow({user}, 2) * {users})::bigint as user_id,
       'post-' || greatest(0, floor(offset_us / {post_span}) - 1
           - floor(pow({post}, 2) * {posts_alive}))::bigint as post_id,
       timestamp '{start}' + to_microseconds(offset_us::bigint) as shown_at,
       (i % 10 + 1)::integer as position, shown_at as known_at, 'feed' as surface, 'softmax' as policy
from numbered order by i
"""
ENGAGEMENTS = """
insert into {raw}engagements by name
with shown as (
    select *, {chance} as chance from (select *, substr(impression_id, 5)::bigint as i from {raw}impressions
    where known_at >= timestamp '{start}' + interval {first_day} day
      and known_at < timestamp '{start}' + interval {end_day} day)
)
select event_type || '-' || i as engagement_id, impression_id, user_id, post_id, event_type,
       case when event_type = 'dwell' then (1000 + hash(i) % 60000)::double end as value,
       least(shown_at + to_seconds((hash(i + 7) % 600)::bigint),
             date_trunc('day', shown_at) + interval '23:59:59') as occurred_at, occurred_at as known_at
from (select *, unnest(case when chance < 0.04 then ['click', 'dwell'] when chance < 0.1 then ['click']
             else ['dwell'] end) as event_type from shown where chance < 0.3)
order by i
"""


def insert_days(con: duckdb.DuckDBPyConnection, raw: str, first: int, end: int, rows: int) -> None:
    """Insert the days [first, end) into `<raw>impressions` and so on; 30 days have `rows` impressions."""
    posts = max(int(rows * POSTS_PER_ROW), DAYS_OF_SIZE)
    days = {"raw": raw, "start": START}
    for sql, count in ((POSTS, posts), (IMPRESSIONS, rows)):
        per_day = count // DAYS_OF_SIZE
        con.execute(
            sql.format(
                **days,
                first=first * per_day,
                end=end * per_day,
                span=MICROSECONDS / per_day,
                post_span=MICROSECONDS / (posts // DAYS_OF_SIZE),
                posts_alive=posts // DAYS_OF_SIZE * POST_LIFE,
                users=int(rows * USERS_PER_ROW),
                authors=int(rows * AUTHORS_PER_ROW) + 1,
                topics=TOPICS,
                user=UNIFORM.format(i="request", stream=1),
                post=UNIFORM.format(i="i", stream=2),
            )
        )
    chance = UNIFORM.format(i="i", stream=3)
    con.execute(ENGAGEMENTS.format(**days, first_day=first, end_day=end, chance=chance))
