"""Impressions for a log of engagements alone: what was engaged with, and posts drawn beside it.

Uniform negative sampling as for implicit feedback (Rendle et al., BPR: Bayesian Personalized Ranking
from Implicit Feedback, UAI 2009), restricted to posts that existed at the time and that the user had
not engaged with up to then.
"""

from collections.abc import Callable
from dataclasses import replace

from feed_platform.feed import Feed
from feed_platform.interactions.batch import Relation
from feed_platform.interactions.casting_sql import cast_sql
from feed_platform.interactions.mapping_model import SampledNegatives
from feed_platform.interactions.readers import literal

POLICY = "sampled_negatives"
KINDS = {
    "user_id": "VARCHAR",
    "post_id": "VARCHAR",
    "event_type": "VARCHAR",
    "occurred_at": "TIMESTAMP",
    "created_at": "TIMESTAMP",
}
# DuckDB can't foresee how many rows a file brings, and would compare each with each.
SORTED_ASOF = "set asof_loop_join_threshold = 0"
Types = Callable[[str], dict[str, str]]

# The post of place n is the n-th that came to exist; how many existed at an instant is an ASOF join.
NEGATIVES = """
with told as materialized ({told}),
shown as materialized (
  select {impression_id} as impression_id, user_id, post_id, instant, arg_min(_file, (_file, _row)) as _file,
         arg_min(_row, (_file, _row)) as _row
  from told where user_id is not null and post_id is not null and instant is not null group by all
),
first_engaged as (select user_id, post_id, min(instant) as instant from shown group by all),
existing as (
  select post_id, min(since) as since from (
    select post_id, instant as since from shown union all by name {posts}
  ) where since is not null and post_id is not null group by 1
),
placed as (select post_id, since, row_number() over (order by since, post_id) - 1 as place from existing),
counted as (select since, max(place) + 1 as posts from placed group by 1),
drawn as (
  select s.*, (md5_number_lower('{seed}' || impression_id || draw) >> 1)::bigint % c.posts as place
  from shown s asof join counted c on s.instant >= c.since, range({per_engagement}) d(draw)
),
negatives as (
  select distinct on (impression_id, p.post_id) d.* exclude (post_id, place), p.post_id
  from drawn d join placed p using (place)
  where not exists (from first_engaged f
                    where f.user_id = d.user_id and f.post_id = p.post_id and f.instant <= d.instant)
)
select impression_id, impression_id as request_id, user_id, post_id, instant as shown_at,
       '{policy}' as policy, _file, _row from shown
union all by name
select md5(impression_id || chr(31) || post_id) as impression_id, impression_id as request_id, user_id,
       post_id, instant as shown_at, '{policy}' as policy, _file, _row from negatives
"""


def with_negatives(
    relations: list[Relation], log: str, choice: SampledNegatives, feed: Feed, types: Types
) -> list[Relation]:
    """The relations of a log without impressions, with impressions: one for each engagement, others drawn.

    Each engagement points to the impression of its user, post and instant.

    Args:
        types: gives the columns of a SELECT and their DuckDB types.
    """
    told, posts, attributed = [], ["select null::varchar as post_id, null::timestamp as since"], []
    for one in relations:
        columns = {
            name: cast_sql(name, kind, KINDS[name]) for name, kind in types(one.sql).items() if name in KINDS
        }
        if one.table == "engagements":
            told.append(_told(one, columns, feed))
            made = _impression_id(log, columns["user_id"], columns["post_id"], columns["occurred_at"])
            attributed.append(replace(one, sql=f"select *, {made} as impression_id from ({one.sql})"))
        elif one.table == "posts" and "created_at" in columns:
            since = f"{columns['post_id']} as post_id, {columns['created_at']} as since"
            posts.append(f"select {since} from ({one.sql})")
    sql = NEGATIVES.format(
        told=" union all ".join(told),
        posts=" union all by name ".join(posts),
        impression_id=_impression_id(log, "user_id", "post_id", "instant"),
        seed=choice.seed,
        per_engagement=choice.per_engagement,
        policy=POLICY,
    )
    others = [one for one in relations if one.table != "engagements"]
    return [
        *others,
        Relation("impressions", sql, setup=(SORTED_ASOF,), place=f"{log}: {POLICY}"),
        *attributed,
    ]


def _told(relation: Relation, columns: dict[str, str], feed: Feed) -> str:
    known = ", ".join(map(literal, feed.event_types))
    return f"""select {columns["user_id"]} as user_id, {columns["post_id"]} as post_id,
        {columns["occurred_at"]} as instant, _file, _row from ({relation.sql})
        where _problem is null and {columns["event_type"]} in ({known})"""


def _impression_id(log: str, user: str, post: str, at: str) -> str:
    return f"md5(concat_ws(chr(31), {literal(log)}, {user}, {post}, epoch_us({at})))"
