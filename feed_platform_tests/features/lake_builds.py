"""Raw rows straight into a lake, and dbt in this process with a manifest parsed once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from feed_platform.features.builds import find_last_build, record_build
from feed_platform.features.invocation import days_to_build, dbt_environment, dbt_vars, environment
from feed_platform.feed import Feed
from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.settings import Settings

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Post:
    """One version of a post."""

    post_id: str
    author_id: str | None
    topic: str | None
    created_at: datetime | None
    known_at: datetime
    received_at: datetime | None = None


@dataclass(frozen=True)
class Impression:
    """A post that a person saw."""

    impression_id: str
    user_id: str | None
    post_id: str
    shown_at: datetime
    known_at: datetime
    request_id: str | None = None
    position: int = 1


@dataclass(frozen=True)
class Engagement:
    """What a person did with a post."""

    engagement_id: str
    impression_id: str | None
    user_id: str | None
    post_id: str
    event_type: str
    value: float | None
    occurred_at: datetime
    known_at: datetime


@dataclass(frozen=True)
class Request:
    """A logged ranking request."""

    request_id: str
    requested_at: datetime
    features_as_of: datetime


@dataclass(frozen=True)
class World:
    """The raw rows of one lake; versions of a post stand in the order in which they were written."""

    posts: Sequence[Post] = ()
    impressions: Sequence[Impression] = ()
    engagements: Sequence[Engagement] = ()
    requests: Sequence[Request] = ()

    def known(self, start: datetime, end: datetime) -> "World":
        """The rows that became known in [start, end)."""
        parts = (self.posts, self.impressions, self.engagements)
        known = ([row for row in part if start <= row.known_at < end] for part in parts)
        return World(*known, requests=[row for row in self.requests if start <= row.requested_at < end])


TABLES = {
    "posts": "raw.posts",
    "impressions": "raw.impressions",
    "engagements": "raw.engagements",
    "requests": "serving.requests",
}


def insert(settings: Settings, world: World) -> None:
    """Add a world's rows to the lake."""
    with Lake.of(settings).write("test rows") as con:
        for name, table in TABLES.items():
            if rows := getattr(world, name):
                columns = [field.name for field in fields(rows[0])]
                values = [astuple(row) for row in rows]
                con.register("rows", pl.DataFrame(values, columns, orient="row", infer_schema_length=None))
                con.execute(f"insert into {table} ({', '.join(columns)}) select * from rows")
                con.unregister("rows")


@cache
def manifest() -> Manifest:
    """The parsed project."""
    with TemporaryDirectory() as folder, environment(dbt_environment(Settings(home=Path(folder)))):
        parsed = dbtRunner().invoke(["parse", "--quiet"])
    assert isinstance(parsed.result, Manifest), parsed.exception
    return parsed.result


def dbt_build(
    settings: Settings, feed: Feed, days: tuple[datetime, datetime], sealed_until: datetime, *arguments: str
) -> None:
    """`dbt build` of some days, in this process."""
    with environment(dbt_environment(settings)):
        run_vars = json.dumps(dbt_vars(feed, *days, sealed_until))
        built = dbtRunner(manifest()).invoke(["build", "--quiet", "--vars", run_vars, *arguments])
        DuckDBConnectionManager.close_all_connections()  # ends what a dbt process would: the writer lock too
    failures = [
        f"{node.node.name}: {node.message}"
        for node in getattr(built.result, "results", [])
        if node.status not in ("success", "pass")
    ]
    assert built.success, (built.exception, failures)


def build_open(
    settings: Settings, feed: Feed, days: tuple[datetime, datetime], sealed_until: datetime, *arguments: str
) -> None:
    """Build as the assets do: the run's days and what the last build left open; note that it ended well."""
    lake = Lake.of(settings)
    with lake.read() as con:
        stretched = days_to_build(days, feed, sealed_until, find_last_build(con))
    dbt_build(settings, feed, stretched, sealed_until, *arguments)
    with lake.write("built") as con:
        record_build(con, version_of(con), sealed_until)


def rows_of(settings: Settings, table: str) -> list[Mapping[str, Any]]:
    """A table's rows as dicts."""
    with Lake.of(settings).read() as con:
        return con.execute(f"select * from {table} order by all").pl().to_dicts()
