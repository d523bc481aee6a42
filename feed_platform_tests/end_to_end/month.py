"""A simulated month as a platform lives it: an import and a build every night, answers in between."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from feed_platform.features.online import OnlineSnapshot
from feed_platform.features.publishing import publish
from feed_platform.feed import Feed, Outage, SimulatorSource
from feed_platform.interactions.ingest import ingest
from feed_platform.interactions.simulator import SIMULATOR_ATTRIBUTES, nights
from feed_platform.lake import Lake, as_of
from feed_platform.lake.seal import DAY, day_of
from feed_platform.settings import Settings
from feed_platform_tests.features.lake_builds import (
    TABLES,
    Engagement,
    Impression,
    Post,
    Request,
    World,
    build_open,
    insert,
)

START = datetime(2026, 3, 1)
MONTH = SimulatorSource(
    seed=11,
    mode="live",
    days=30,
    users=60,
    posts_per_day=6,
    requests_per_day=30,
    positions=5,
    candidates=20,
    slates=False,
    click_rate=0.25,
    bot_share=0.05,
    duplicate_share=0.05,
    late_share=0.1,
    outages=(
        Outage(day=4, hour=20, hours=9),
        Outage(day=12, hour=3, hours=4.5),
        Outage(day=20, hour=1, hours=26),
    ),
)
# Labels wait two days, so that most of what comes late comes before its deadline and some after it.
FEED = Feed(
    start=date(2026, 3, 1),
    label_window_seconds=6 * 3_600,
    label_delay_seconds=48 * 3_600,
    attributes=SIMULATOR_ATTRIBUTES,
    sources=(MONTH,),
)
# The import of a night begins when its features are due: the seal lies after what it brings.
IMPORT_AFTER = timedelta(hours=3, minutes=20)
ROWS = (Post, Impression, Engagement, Request)  # in the order of TABLES
MODELS = ("--resource-type", "model")
BUILT_EVERY = 5  # and where answers are wanted; what a build missed the next one makes up for
NOT_SERVED = ("--exclude", "online")


def live_nights(home: Settings, served_every: int) -> Iterator[tuple[int, datetime]]:
    """Import and seal night by night, and build on some; yields the nights that serve, with their seal."""
    lake = Lake.of(home)
    for night, (midnight, batches) in enumerate(nights(MONTH, FEED.start)):
        at = midnight + IMPORT_AFTER
        ingest(lake, FEED, batches, mode="live", source="simulator", imported_at=at)
        sealed_until = as_of(at, FEED)
        with lake.write("sealed") as con:
            con.execute("insert into raw.seals values (?, ?)", [sealed_until, at])
        day = day_of(sealed_until), day_of(sealed_until) + DAY
        if night % served_every == 0:
            build_days(home, day, sealed_until)
            yield night, sealed_until
        elif night % BUILT_EVERY == 0:
            build_days(home, day, sealed_until, *NOT_SERVED)


def build_days(
    home: Settings, days: tuple[datetime, datetime], sealed_until: datetime, *arguments: str
) -> None:
    """Build days of the month's feed, and what the last build left open."""
    build_open(home, FEED, days, sealed_until, *MODELS, *arguments)


def serve(home: Settings, sealed_until: datetime) -> int:
    """Publish the snapshot and answer three people with every post, as the service would log it."""
    lake = Lake.of(home)
    snapshot = OnlineSnapshot.open(publish(home, lake, FEED))
    at = sealed_until + timedelta(minutes=30)
    posts = [str(post) for post in snapshot.posts]
    for number in range(3):
        request = Request(f"served-{sealed_until:%d}-{number}", at, snapshot.as_of)
        user = f"user-{number:06}" if number else "stranger"
        insert(home, World(requests=[request]))
        vectors = snapshot.matrix([user], posts, np.datetime64(at), 1, {})
        rows = pl.DataFrame({"post_id": posts, "vector": vectors.tolist()}).with_columns(
            request_id=pl.lit(request.request_id), names=pl.lit(list(snapshot.names))
        )
        with lake.write("served") as con:
            con.execute(
                "update serving.requests set user_id = ? where request_id = ?", [user, request.request_id]
            )
            con.register("rows", rows)
            con.execute("insert into serving.vectors by name select * from rows")
            con.execute("insert into serving.candidates by name select request_id, post_id from rows")
            con.unregister("rows")
    return 3 * len(posts)


def read_world(home: Settings) -> World:
    """The raw tables as the oracle reads them."""
    with Lake.of(home).read() as con:
        parts = {
            name: [kind(*row) for row in con.execute(f"select {_columns(kind)} from {table}").fetchall()]
            for (name, table), kind in zip(TABLES.items(), ROWS, strict=True)
        }
    return World(**parts)


def _columns(kind: type) -> str:
    return ", ".join(column.name for column in fields(kind))


def content_hashes(home: Settings) -> dict[str, list[tuple[str, str]]]:
    """The rows of every table that dbt builds: the impression's id where there is one, and a hash."""
    with Lake.of(home).read() as con:
        tables = con.execute(
            "select table_schema || '.' || table_name, bool_or(column_name = 'impression_id') "
            "from information_schema.columns join information_schema.tables "
            "using (table_catalog, table_schema, table_name) "
            "where table_catalog = 'lake' and table_schema in ('features', 'marts') "
            "and table_name not in ('builds', 'definitions') and table_type = 'BASE TABLE' group by 1"
        ).fetchall()
        return {
            name: con.execute(
                f"select {'impression_id' if has_id else repr('')}, md5(cast(to_json(one) as varchar)) "
                f"from {name} as one order by all"
            ).fetchall()
            for name, has_id in sorted(tables)
        }
