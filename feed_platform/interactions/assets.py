"""The raw tables as Dagster assets: what comes in, from the feed's sources and the service's logs."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from feed_platform.feed import find_feed
from feed_platform.interactions.batch import TableCounts
from feed_platform.interactions.described import IMPORTED, attributes_in, columns_of, day_column
from feed_platform.interactions.sources import Ingested, ingest_sources
from feed_platform.partitions import days_of, time_partitions
from feed_platform.resources import Home
from feed_platform.settings import Settings
from feed_platform.table_metadata import add_profile, table_definition

FEED = find_feed(Settings())


@dg.multi_asset(
    name="raw_interactions",
    specs=[
        dg.AssetSpec(
            table.split("."),
            description=text,
            kinds={"ducklake"},
            metadata=table_definition(table, columns_of(table, FEED)),
        )
        for table, text in IMPORTED.items()
    ],
    group_name="interactions",
    partitions_def=time_partitions(),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def raw_interactions(context: dg.AssetExecutionContext, home: Home) -> Iterator[dg.MaterializeResult]:
    """Import the run's days of each source, then the logs, and close the past; again, nothing new."""
    settings, feed, lake = home.settings, home.feed, home.lake
    ingested = ingest_sources(settings, lake, feed, *days_of(context))
    with lake.read() as con:
        for table in IMPORTED:
            asset = dg.AssetKey(table.split("."))
            add_profile(context, con, asset, day_column(table), attributes_in(table, feed))
            metadata = {"lake_version": ingested.lake_version, **_metadata(table, ingested)}
            yield dg.MaterializeResult(asset_key=asset, metadata=metadata)


def _metadata(name: str, ingested: Ingested) -> dict[str, Any]:
    schema, table = name.split(".")
    if schema == "raw":
        return _raw_metadata(ingested.raw[table]) | {"sealed_until": str(ingested.sealed_until)}
    logs = ingested.logs
    if table == "requests":
        lag = {"longest_wait_seconds": logs.waited_seconds, "newest_record": str(logs.newest or "none")}
        return {"inserted": logs.requests, "repeated_answers": logs.repeated} | lag
    spoilt = {"torn_bytes": logs.torn_bytes, "damaged_bytes": logs.damaged_bytes}
    return spoilt | {"unreadable_records": logs.unreadable}


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
