"""The features as one would write them by hand: one DuckDB script on one native file, nothing more."""

from itertools import product

import duckdb

from benchmarks.features.shape import GROUPS, MEASURES, PRIOR_IMPRESSIONS, PRIOR_WINDOW, WINDOWS

RAW = """
create table posts (post_id varchar, author_id varchar, topic varchar, created_at timestamp,
    known_at timestamp);
create table impressions (impression_id varchar, surface varchar, user_id varchar, post_id varchar,
    shown_at timestamp, position integer, policy varchar, known_at timestamp);
create table engagements (engagement_id varchar, impression_id varchar, user_id varchar, post_id varchar,
    event_type varchar, value double, occurred_at timestamp, known_at timestamp);
"""
HOUR = "cast(epoch_us({}) // 3600000000 as integer)"
KEYS = """e.user_key, e.post_key, coalesce(p.author_key, 0) as author_key,
    coalesce(p.topic_key, 0) as topic_key,
    xor(e.user_key, coalesce(p.topic_key, 0) >> 1) as user_topic_key,
    xor(e.user_key, coalesce(p.author_key, 0) >> 1) as user_author_key"""
PREPARE = f"""
create table keyed_posts as
select author_id, topic, md5_number_lower(post_id) as post_key, md5_number_lower(author_id) as author_key,
       md5_number_lower(topic) as topic_key, known_at
from posts qualify row_number() over (partition by post_id, known_at) = 1;

create table spine as
select e.impression_id, e.user_id, e.post_id, p.author_id, p.topic, e.position, e.shown_at,
       {HOUR.format("e.shown_at - interval 10 minute")} as hour, cast(e.known_at as date) as known_day,
       {KEYS}, cast(1 as ubigint) as global_key
from (
    select *, md5_number_lower(user_id) as user_key, md5_number_lower(post_id) as post_key from impressions
) e
asof left join keyed_posts p on e.post_key = p.post_key and e.shown_at >= p.known_at;

create table events as
select e.kind, e.value, {HOUR.format("e.known_at")} as hour, {KEYS}, cast(1 as ubigint) as global_key
from (
    select known_at, md5_number_lower(user_id) as user_key, md5_number_lower(post_id) as post_key,
           'impression' as kind, null::double as value from impressions
    union all
    select known_at, md5_number_lower(user_id), md5_number_lower(post_id), event_type, value from engagements
) e
asof left join keyed_posts p on e.post_key = p.post_key and e.known_at >= p.known_at;
"""
WINDOW_SUMS = """
create table {group}_windows as
with sums as (
    select {group}_key as key, hour, count(*) filter (where kind = 'impression')::double as impressions,
           count(*) filter (where kind = 'click')::double as clicks,
           coalesce(sum(value) filter (where kind = 'dwell'), 0) as dwell_ms
    from events where {group}_key <> 0 group by all
),
timeline as (
    select *, false as wanted from sums
    union all by name
    select distinct {group}_key as key, hour, true as wanted from spine
),
framed as (select key, hour, wanted, {sums} from timeline window {frames})
select key, hour, {columns} from framed where wanted
"""


def by_hand(con: duckdb.DuckDBPyConnection, slice_rows: int) -> None:
    """From the raw tables of RAW to `wide`, a row per impression; `slice_rows` impressions a join."""
    for statement in filter(str.strip, PREPARE.split(";")):
        con.execute(statement)
    for group in ("global", *GROUPS):
        con.execute(window_sums(group))
    con.execute(f"create table wide as {joined('false')}")
    for days in slices(con, slice_rows):
        con.execute(f"insert into wide {joined(days)}")


def window_sums(group: str) -> str:
    """SQL of `<group>_windows`: the sums before each hour that an impression needs."""
    windows = WINDOWS if group != "global" else {PRIOR_WINDOW: WINDOWS[PRIOR_WINDOW]}
    pairs = list(product(windows, MEASURES))
    return WINDOW_SUMS.format(
        group=group,
        sums=", ".join(f"sum({measure}) over w{window} as {measure}_{window}" for window, measure in pairs),
        frames=", ".join(
            f"w{window} as (partition by key order by hour range between {hours} preceding and 1 preceding)"
            for window, hours in windows.items()
        ),
        columns=", ".join(
            f"coalesce({measure}_{window}, 0)::bigint as {measure}_{window}" for window, measure in pairs
        ),
    )


def joined(condition: str) -> str:
    """SQL of the wide table's rows whose `known_day` meets a condition."""
    columns = (
        f"{group}_windows.{measure}_{window} as {group}_{measure}_{window}"
        for group, window, measure in product(GROUPS, WINDOWS, MEASURES)
    )
    rates = (
        f"(({group}_windows.clicks_{window} + {PRIOR_IMPRESSIONS} * rate)"
        f" / ({group}_windows.impressions_{window} + {PRIOR_IMPRESSIONS}))::float as {group}_ctr_{window}"
        for group, window in product(GROUPS, WINDOWS)
    )
    joins = (
        f"left join {group}_windows on s.{group}_key = {group}_windows.key and s.hour = {group}_windows.hour"
        for group in GROUPS
    )
    return f"""
        select s.impression_id, s.user_id, s.post_id, s.author_id, s.topic, s.position, s.shown_at,
               s.known_day, make_timestamp(s.hour::bigint * 3600000000) as as_of,
               {", ".join([*columns, *rates])}
        from (select * from spine where {condition}) s
        left join (
            select hour,
                   (clicks_{PRIOR_WINDOW} + 1)
                       / (impressions_{PRIOR_WINDOW} + {PRIOR_IMPRESSIONS}) as rate
            from global_windows
        ) g on s.hour = g.hour
        {" ".join(joins)}"""


def slices(con: duckdb.DuckDBPyConnection, slice_rows: int) -> list[str]:
    """Conditions on `known_day`, whole days of about `slice_rows` impressions each."""
    rows = con.execute(
        f"""select min(known_day), max(known_day) from (
            select known_day, sum(n) over (order by known_day) // {slice_rows} as slice
            from (select known_day, count(*) as n from spine group by 1)) group by slice order by 1"""
    ).fetchall()
    return [f"known_day between date '{first}' and date '{last}'" for first, last in rows]
