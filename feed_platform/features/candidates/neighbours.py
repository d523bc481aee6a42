"""`features.neighbours`: the posts that the same people engage with."""

from dataclasses import dataclass

from feed_platform.features.builds import last_build
from feed_platform.features.candidates.events import ENGAGED_KEPT, make_tables
from feed_platform.feed import Feed
from feed_platform.lake import Lake
from feed_platform.lake.profile import Column

TABLE = "features.neighbours"
COLUMNS = (
    Column("post_id", "varchar", "The post."),
    Column("neighbour_id", "varchar", "One that the same people engage with."),
    Column("rank", "integer", "From 1: the nearest of the post's neighbours."),
    Column("similarity", "double", "Shrunk cosine: c / √(a b) · c / (c + 10), of a, b and c people."),
    Column("together", "bigint", "c: how many people engaged with both."),
)
KEPT = 20
LEAST_TOGETHER = 2
SHRINKAGE = 10.0
DECIMALS = 12  # beyond them a sum depends on the order of its terms

NEIGHBOURS = f"""
with history as (
    select user_key, row from feed_engaged
    qualify row_number() over (partition by user_key order by last_at desc, row) <= {ENGAGED_KEPT}
),
people as (select row, count(*) as n from history group by row),
half as (
    select a.row as one, b.row as other, count(*) as together
    from history a join history b on a.user_key = b.user_key and a.row < b.row
    group by all having count(*) >= {LEAST_TOGETHER}
),
pairs as (
    select one, other, together from half union all select other, one, together from half
),
compared as (
    select one, other, together, round(
        together / sqrt(a.n * b.n) * together / (together + {SHRINKAGE}), {DECIMALS}) as similarity
    from pairs join people a on one = a.row join people b on other = b.row
)
select mine.post_id, theirs.post_id as neighbour_id,
    cast(row_number() over (partition by one order by similarity desc, other) as integer) as rank,
    similarity, together
from compared join feed_posts mine on one = mine.row join feed_posts theirs on other = theirs.row
qualify rank <= {KEPT}
order by mine.row, rank
"""


@dataclass(frozen=True)
class Written:
    """How many posts have neighbours, and how many pairs there are."""

    posts: int
    pairs: int


def write_neighbours(lake: Lake, feed: Feed) -> Written:
    """Replace the table by what the last good build's data say.

    Raises:
        FeedError: no features have been built yet.
    """
    with lake.read() as con:
        build = last_build(con)
    with lake.read(build.lake_version) as con:
        make_tables(con, feed, build.sealed_until)
        found = con.execute(NEIGHBOURS).to_arrow_table()
    columns = ", ".join(f"{column.name} {column.type}" for column in COLUMNS)
    with lake.write("neighbours of posts", {"as_of": build.sealed_until}) as con:
        con.execute(f"create table if not exists {TABLE} ({columns})")
        con.execute(f"delete from {TABLE}")
        con.register("found", found)
        con.execute(f"insert into {TABLE} select * from found")
    return Written(len(found["post_id"].unique()), found.num_rows)
