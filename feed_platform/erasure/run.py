"""The erasure of people, step by step; killed at any point, the next call ends it."""

import shutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from filelock import FileLock

from feed_platform import processes
from feed_platform.erasure import pending, sweep
from feed_platform.erasure.pending import Pending
from feed_platform.erasure.record import record
from feed_platform.features.builds import find_last_build, record_build
from feed_platform.features.online import current_snapshot
from feed_platform.features.publishing import publish
from feed_platform.feed import FeedError, load_feed
from feed_platform.interactions.log_erasure import erase_from_logs, find_in_logs, people_in_logs
from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.lake.erased import suppress, suppression
from feed_platform.lake.erasure import Found, erase_rows, find, named_people
from feed_platform.lake.maintenance import compact
from feed_platform.lake.purge import purge_versions, shrink_catalog
from feed_platform.learning import registry
from feed_platform.serving.cluster import Cluster
from feed_platform.settings import Settings

PROGRAMS = frozenset({"dagster", "dagster-daemon", "dagster-webserver", "dbt", "feed"})
Progress = Callable[[str], None]

# What changed since the last good build, by table: a build that broke off halfway changed feature tables.
# `builds` and `neighbours` are written after every good one.
HALF_BUILT = """
select count(*) from (
  select unnest(flatten(map_values(changes))) as changed from ducklake_snapshots('lake')
  where snapshot_id > $built
) where changed in (
  select t.table_id::varchar from __ducklake_metadata_lake.ducklake_table t
  join __ducklake_metadata_lake.ducklake_schema s using (schema_id)
  where s.schema_name in ('features', 'marts') and t.table_name not in ('builds', 'neighbours')
    and t.end_snapshot is null
)
"""


@dataclass(frozen=True)
class Plan:
    """What would go: rows by table, log records, files that hold the ids as bytes."""

    user_ids: tuple[str, ...]
    rows: Found
    records: int
    files: tuple[Path, ...]

    def lines(self) -> Iterable[str]:
        """The plan, line by line."""
        for what, tables in (("deleted", self.rows.deleted), ("anonymized", self.rows.changed)):
            yield from (f"{table:32} {rows:>10,} rows {what}" for table, rows in sorted(tables.items()))
        yield f"{'log records':32} {self.records:>10,} deleted"
        yield f"{'files that hold the id as bytes':32} {len(self.files):>10,}"


@dataclass(frozen=True)
class Report:
    """What an erasure did; `left` are files in which an id still stands: it is not complete."""

    people: int
    deleted: int
    anonymized: int
    records: int
    versions: int
    model_versions: tuple[str, ...]
    needs_build: bool
    left: tuple[Path, ...]

    def lines(self) -> Iterable[str]:
        """The report, line by line."""
        yield f"erased {self.people} people: {self.deleted:,} rows deleted, {self.anonymized:,} anonymized"
        yield f"{self.records:,} log records deleted, {self.versions:,} old versions of the lake expired"
        if self.model_versions:
            yield f"trained on erased data: model versions {', '.join(self.model_versions)}"
        if self.needs_build:
            yield "a feature build had broken off: run dagster job execute -j build_features"
        yield from (f"still in {path}: remove it, then run feed erase-user again" for path in self.left)
        if not self.left:
            yield "searched: no file of the home holds an erased id"


def plan(settings: Settings, user_ids: Collection[str]) -> Plan:
    """What `erase` would do; nothing is changed.

    Raises:
        FeedError: an id is unknown to this home.
    """
    lake = _lake(settings)
    _refuse_unknown(settings, lake, user_ids)
    with lake.read() as con:
        rows = find(con, user_ids, suppression(con))
    records = sum(rewrite.removed for rewrite in find_in_logs(settings, lake, user_ids))
    return Plan(tuple(user_ids), rows, records, tuple(sweep.files_with(settings, user_ids)))


def erase(settings: Settings, user_ids: Collection[str], progress: Progress = lambda text: None) -> Report:
    """Erase people from this home, together with those of an erasure that broke off.

    Raises:
        FeedError: an id is unknown, something of this home runs that has to be stopped first, or
            the catalog lies on PostgreSQL. Nothing was changed then.
    """
    lake = _lake(settings)
    _refuse_running(settings)
    with FileLock(settings.root / "erasure.lock"):
        begun = pending.read(settings)
        if user_ids:
            _refuse_unknown(settings, lake, set(user_ids) - set(begun.user_ids if begun else ()))
            begun = _begin(settings, lake, user_ids, begun)
        if begun is None:
            raise FeedError("no erasure is under way: name the people to erase (feed erase-user ID…)")
        return _run(settings, lake, begun.save(settings), progress)


def _run(settings: Settings, lake: Lake, begun: Pending, progress: Progress) -> Report:
    people = begun.user_ids
    progress("1/5  suppression list and log segments")
    with lake.write("people suppressed") as con:
        suppress(con, people)
    begun = replace(begun, records=begun.records + erase_from_logs(settings, lake, people)).save(settings)
    progress("2/5  rows of every table")
    begun = _erase_rows(lake, begun).save(settings)
    progress("3/5  old versions, files and catalog of the lake")
    versions = _purge(lake, begun)
    progress("4/5  online snapshot, dbt's files, other files of the home")
    _republish(settings, lake)
    _clear_working_files(settings)
    for path in sweep.clean(settings, people):
        progress(f"     blanked in {path}")
    progress("5/5  search for what is left")
    left = _left(settings, lake, people)
    if not left:
        pending.forget(settings)
    return Report(
        len(people),
        begun.deleted,
        begun.anonymized,
        begun.records,
        versions,
        begun.model_versions,
        not begun.was_built,
        left,
    )


def _lake(settings: Settings) -> Lake:
    lake = Lake.of(settings)
    if lake.on_postgres:
        raise FeedError("erasure knows catalogs in SQLite only: FEED_LAKE_CATALOG names a PostgreSQL server")
    return lake


def _refuse_running(settings: Settings) -> None:
    """Whatever holds rows in memory would write them again."""
    service = Cluster.running(settings)
    if service is not None:
        raise FeedError(
            f"the ranking service of this home runs (pid {service.head.pid}) and writes its logs: "
            "feed serve stop, erase, then feed serve start"
        )
    home = {"FEED_HOME": str(settings.root), "DAGSTER_HOME": str(settings.dagster_home)}
    running = [found for one in home.items() for found in processes.of_environment(*one, PROGRAMS)]
    if running:
        raise FeedError(
            f"process {running[0].pid} works on this home: let it end, or end the Dagster UI with feed stop"
        )


def _refuse_unknown(settings: Settings, lake: Lake, user_ids: Collection[str]) -> None:
    with lake.read() as con:
        listed = suppression(con)
        found = named_people(con, user_ids) | people_in_logs(settings, user_ids)
        rest = [one for one in user_ids if one not in found and one not in listed]
        unknown = sorted(one for one in rest if find(con, [one], listed).is_empty)
    if unknown:
        raise FeedError(f"unknown to this home: {', '.join(unknown)}; nobody was erased")


def _begin(settings: Settings, lake: Lake, user_ids: Collection[str], begun: Pending | None) -> Pending:
    with lake.read() as con:
        was_built = _is_built(con)
    models = tuple(version.version for version in registry.versions(settings))
    at = datetime.now(UTC).replace(tzinfo=None).isoformat()
    new = Pending(tuple(dict.fromkeys(user_ids)), at, was_built, models)
    return begun.with_more(new) if begun else new


def _is_built(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the feature tables are those of the last good build; true where nothing was ever built."""
    build = find_last_build(con)
    if build is None:
        return True
    row = con.execute(HALF_BUILT, {"built": build.lake_version + 1}).fetchone()
    return row is not None and row[0] == 0


def _erase_rows(lake: Lake, begun: Pending) -> Pending:
    with lake.write("people erased", {"people": len(begun.user_ids)}) as con:
        found = erase_rows(con, begun.user_ids, suppression(con))
    return replace(
        begun,
        deleted=begun.deleted + sum(found.deleted.values()),
        anonymized=begun.anonymized + sum(found.changed.values()),
    )


def _purge(lake: Lake, begun: Pending) -> int:
    """Leave one version of the lake, which is the last good build and names those that are gone."""
    with lake.exclusive() as con:
        compact(con)
        con.begin()
        version = version_of(con) + 1
        record(con, begun, version)
        _note_build(con, begun, version)
        con.commit()
        versions = purge_versions(con, begun.user_ids)
    shrink_catalog(lake)
    return versions


def _note_build(con: duckdb.DuckDBPyConnection, begun: Pending, version: int) -> None:
    """The last good build is this version: its own is gone."""
    build = find_last_build(con)
    con.execute("delete from features.builds")
    if build is not None and begun.was_built:
        record_build(con, version, build.sealed_until)


def _republish(settings: Settings, lake: Lake) -> None:
    """Publish the snapshot anew, and take every other one away."""
    with lake.read() as con:
        is_built = find_last_build(con) is not None
    if is_built and current_snapshot(settings) is not None:
        publish(settings, lake, load_feed(settings))
    if not is_built:
        (settings.online / "current.json").unlink(missing_ok=True)
    current = current_snapshot(settings)
    for folder in settings.online.iterdir() if settings.online.exists() else ():
        if folder.is_dir() and folder != current:
            shutil.rmtree(folder)


def _clear_working_files(settings: Settings) -> None:
    """What dbt and broken-off imports left: made again when it is needed."""
    for folder in (settings.root / "dbt", settings.root / "tmp"):
        shutil.rmtree(folder, ignore_errors=True)


def _left(settings: Settings, lake: Lake, user_ids: Collection[str]) -> tuple[Path, ...]:
    """Where the ids still stand."""
    with lake.read() as con:
        is_clean = find(con, user_ids, suppression(con)).is_empty
    rows = () if is_clean else (Path(lake.catalog),)
    return (*rows, *sweep.files_with(settings, user_ids))
