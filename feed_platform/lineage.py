"""From an HTTP answer back to its model, training rows, features' hour, raw days and source files."""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import duckdb

from feed_platform.features.project import definitions
from feed_platform.feed import Feed, FeedError, MappingSource, load_feed
from feed_platform.interactions.batch import RAW_TABLES
from feed_platform.lake import Lake
from feed_platform.learning.record import TrainingRecord
from feed_platform.settings import Settings

REQUEST = """
select requested_at, surface, served_by, policy, model_version, features_as_of,
    (select count(*) from serving.candidates where request_id = $id) as candidates
from serving.requests where request_id = $id
"""
BUILD = """
select lake_version, sealed_until, built_at from features.builds
where sealed_until >= $as_of order by sealed_until, lake_version limit 1
"""
DEFINITIONS = "select string_agg(model || definition, '' order by model) from features.definitions"
# A day's rows in any order give the same hash: the sum of their own, modulo 2^64.
RAW_DAYS = """
select cast(known_at as date) as day, source, count(*) as rows,
    format('{{:016x}}', cast(sum(cast(hash(one) as hugeint)) % 18446744073709551616 as ubigint)) as content
from raw.{table} as one where known_at >= $first and known_at < $as_of
group by 1, 2 order by 1, 2
"""
TABLES = ("impressions", "engagements")
Facts = dict[str, Any]


def lineage(settings: Settings, request_id: str) -> Facts:
    """What one answer was made of, station by station; JSON takes it as it is, but for times.

    Content hashes are of the raw rows as the lake holds them now: another hash than before means that an
    import of late history or an erasure has changed the day.

    Raises:
        FeedError: no such request has been imported.
    """
    feed, lake = load_feed(settings), Lake.of(settings)
    with lake.read() as con:
        request = _one(con, REQUEST, {"id": request_id})
        if request is None:
            raise FeedError(
                f"no request {request_id!r} in serving.requests: "
                "the job refresh imports what the service logged"
            )
        as_of = request["features_as_of"]
        features = _features(con, as_of) if as_of else {}
        raw = _raw_days(con, as_of) if as_of else {}
    return {
        "answer": {"request_id": request_id, **request},
        "model": _model(settings, request["model_version"]),
        "features": features,
        "raw rows that the windows reach": raw,
        "sources": _sources(feed),
    }


def _one(con: duckdb.DuckDBPyConnection, sql: str, parameters: Facts) -> Facts | None:
    found = con.execute(sql, parameters)
    names = [column[0] for column in found.description or ()]
    row = found.fetchone()
    return dict(zip(names, row, strict=True)) if row else None


def _model(settings: Settings, version: str | None) -> Facts:
    """The registered version, how it was trained and on what; empty where no model answered."""
    from feed_platform.learning import registry

    known = {entry.version: entry for entry in registry.versions(settings)}.get(str(version))
    if known is None:
        return {}
    run = registry.client(settings).get_run(known.run_id)
    record = TrainingRecord.of(registry.client(settings), known.run_id)
    return {
        "version": known.version,
        "kind": known.kind,
        "bundle": known.bundle,
        "mlflow_run": known.run_id,
        "dagster_run": run.data.tags.get("dagster_run_id"),
        "code_version": run.data.params.get("code_version"),
        "training.examples at lake version": record.read_at,
        "split": record.split.as_json(),
        "validation log losses": record.losses,
    }


def _features(con: duckdb.DuckDBPyConnection, as_of: datetime) -> Facts:
    """The build that first held the hour, and a hash of the definitions that the newest one has."""
    row = con.execute(DEFINITIONS).fetchone()
    text = row[0] if row else None
    definition = sha256(text.encode()).hexdigest()[:16] if text else None
    build = _one(con, BUILD, {"as_of": as_of}) or {}
    return {"as_of": as_of, **build, "definitions of the newest build": definition}


def _raw_days(con: duckdb.DuckDBPyConnection, as_of: datetime) -> Facts:
    reach = timedelta(hours=max(definitions().window_hours.values()))
    span = {"first": as_of - reach, "as_of": as_of}
    return {
        f"raw.{table}": [
            dict(zip(("day", "source", "rows", "content"), row, strict=True))
            for row in con.execute(RAW_DAYS.format(table=table), span).fetchall()
        ]
        for table in TABLES
    }


def _sources(feed: Feed) -> list[Facts]:
    """What feed.toml imports: a mapping with the files that it names, or the simulator."""
    return [_files(one) if isinstance(one, MappingSource) else one.model_dump() for one in feed.sources]


def _files(source: MappingSource) -> Facts:
    from feed_platform.interactions.mapping import mapping_path
    from feed_platform.interactions.mapping_file import load_mapping

    file = mapping_path(source.path)
    if not file.exists():
        return {"mapping": str(file), "missing": True}
    mapping = load_mapping(file)
    inputs = [one for name in RAW_TABLES for one in getattr(mapping, name)]
    return {"mapping": str(file), "source": mapping.name, "files": sorted({str(one.files) for one in inputs})}
