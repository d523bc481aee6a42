"""The raw tables as Dagster assets: what comes in, from the feed's sources and the service's logs."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from feed_platform.interactions.batch import TableCounts
from feed_platform.interactions.sources import Ingested, ingest_sources
from feed_platform.lake import Lake
from feed_platform.partitions import days_of, time_partitions
from feed_platform.resources import Home

DESCRIPTIONS = {
    "raw/users": "Users and their attributes, one row per version.",
    "raw/posts": "Posts with author, topic and attributes, one row per version.",
    "raw/impressions": "Posts that people saw: where, when, and how probable that was.",
    "raw/engagements": "What people did: clicks, likes, comments, shares, hides, reports, dwell, follows.",
    "serving/requests": "Rank requests that the service answered, the first answer to each.",
    "serving/candidates": "Every candidate of these answers with rank, score and propensity.",
}


@dg.multi_asset(
    name="raw_interactions",
    specs=[
        dg.AssetSpec(key.split("/"), description=text, kinds={"ducklake"})
        for key, text in DESCRIPTIONS.items()
    ],
    group_name="interactions",
    partitions_def=time_partitions(),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def raw_interactions(context: dg.AssetExecutionContext, home: Home) -> Iterator[dg.MaterializeResult]:
    """Import the run's days of each source, then the logs, and close the past; again, nothing new."""
    settings, feed, lake = home.settings, home.feed, home.lake
    ingested = ingest_sources(settings, lake, feed, *days_of(context))
    rows = _row_counts(lake)
    for key in DESCRIPTIONS:
        found = {"dagster/row_count": rows[key], "lake_version": ingested.lake_version}
        yield dg.MaterializeResult(asset_key=key.split("/"), metadata=found | _metadata(key, ingested))


def _row_counts(lake: Lake) -> dict[str, int]:
    with lake.read() as con:
        counts = {key: con.table(key.replace("/", ".")).count("*").fetchone() for key in DESCRIPTIONS}
    return {key: row[0] for key, row in counts.items() if row}


def _metadata(key: str, ingested: Ingested) -> dict[str, Any]:
    schema, table = key.split("/")
    if schema == "raw":
        return _raw_metadata(ingested.raw[table]) | {"sealed_until": str(ingested.sealed_until)}
    logs = ingested.logs
    if table == "requests":
        return {"inserted": logs.requests, "repeated_answers": logs.repeated}
    return {"torn_bytes": logs.torn_bytes, "unreadable_records": logs.unreadable}


def _raw_metadata(counts: TableCounts) -> dict[str, Any]:
    return {
        "read": counts.read,
        "inserted": counts.inserted,
        "known": counts.known,
        "quarantined": counts.quarantined,
        "quarantine_reasons": dg.MetadataValue.md(_markdown(counts)),
    }


def _markdown(counts: TableCounts) -> str:
    if not counts.reasons:
        return "none"
    lines = [f"| {reason.replace('|', '/')} | {rows} |" for reason, rows in counts.reasons.most_common()]
    return "\n".join(["| reason | rows |", "| --- | ---: |", *lines])
