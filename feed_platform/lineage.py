"""From an HTTP answer, or a model, back to training rows, features' hour, raw days and source files."""

from datetime import datetime, timedelta
from typing import Any

import duckdb

from feed_platform.features.builds import definitions_hash
from feed_platform.features.project import definitions
from feed_platform.feed import Feed, FeedError, MappingSource, load_feed
from feed_platform.interactions.batch import RAW_TABLES
from feed_platform.interactions.content import RawDays, raw_days
from feed_platform.lake import Lake
from feed_platform.learning import provenance
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


def model_lineage(settings: Settings, version: str) -> Facts:
    """What one registered version was made of, and which of its raw days hold something else today.

    Raises:
        FeedError: there is no such version.
    """
    from feed_platform.learning import registry

    known = registry.get_version(settings, version)
    made_of = provenance.recorded(settings, known.run_id)
    return {
        "model": _model(settings, version) | {"tags": registry.version_tags(settings, version)},
        "metrics": registry.client(settings).get_run(known.run_id).data.metrics,
        "made of": made_of,
        "raw days that have changed since": _changed(settings, made_of) if made_of else "unknown",
        "sources": _sources(load_feed(settings)),
    }


def _changed(settings: Settings, made_of: Facts) -> list[str]:
    with Lake.of(settings).read() as con:
        now = raw_days(con, datetime.min, datetime.fromisoformat(made_of["sealed_until"]))
    before, after = _contents(made_of["raw"]), _contents(now)
    return sorted({key for key, _ in before.items() ^ after.items()})


def _contents(raw: RawDays) -> dict[str, str]:
    return {
        f"{table} {one['day']} {one['source']}": one["content"] for table, days in raw.items() for one in days
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
        "made of": _summary(provenance.recorded(settings, known.run_id)),
        "training.examples at lake version": record.read_at,
        "split": record.split.as_json(),
        "validation log losses": record.losses,
    }


def _summary(made_of: Facts) -> Facts:
    """The hashes that `feed lineage --model` spells out by day."""
    return {name: made_of[name] for name in ("raw_content", "definitions", "sealed_until") if name in made_of}


def _features(con: duckdb.DuckDBPyConnection, as_of: datetime) -> Facts:
    """The build that first held the hour, and a hash of the definitions that the newest one has."""
    build = _one(con, BUILD, {"as_of": as_of}) or {}
    return {"as_of": as_of, **build, "dbt definitions of the newest build": definitions_hash(con)}


def _raw_days(con: duckdb.DuckDBPyConnection, as_of: datetime) -> RawDays:
    reach = timedelta(hours=max(definitions().window_hours.values()))
    return raw_days(con, as_of - reach, as_of)


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
