"""What Dagster shows of a table: where it lies, its columns, its rows, a sample, its volume by day."""

import base64
from collections.abc import Collection, Iterable
from typing import Any

import dagster as dg
import duckdb

from feed_platform.lake.profile import Column, Profile, profile
from feed_platform.lake.volume_chart import volume_chart


def table_definition(table: str, columns: Iterable[Column]) -> dict[str, Any]:
    """The metadata of an asset that is a table: the same for each of its materializations."""
    known = [dg.TableColumn(one.name, one.type, one.description) for one in columns]
    return {"dagster/table_name": f"lake.{table}", "dagster/column_schema": dg.TableSchema(known)}


def add_profile(
    context: dg.AssetExecutionContext,
    con: duckdb.DuckDBPyConnection,
    asset: dg.AssetKey,
    day: str | None,
    hidden: Collection[str] = (),
) -> None:
    """Add what a table holds to its event, in a run over many partitions to that of the last one.

    Such a run notes an event for each partition: only one shall carry pictures.
    """
    found = profile(con, ".".join(asset.path), day, hidden)
    last = context.partition_key_range.end if context.assets_def.partitions_def else None
    context.add_asset_metadata(profile_metadata(found), asset_key=asset, partition_key=last)


def profile_metadata(found: Profile) -> dict[str, Any]:
    """Row count, and where there are rows a sample; volume by day where a row has one."""
    shown: dict[str, Any] = {"dagster/row_count": found.rows}
    if found.sample:
        shown["sample"] = _table(found)
    if found.by_day:
        shown["volume"] = dg.MetadataValue.md(_image(volume_chart(found.by_day), "rows by day"))
    return shown


def _table(found: Profile) -> dg.TableMetadataValue:
    schema = dg.TableSchema([dg.TableColumn(name) for name in found.sample[0]])
    return dg.MetadataValue.table([dg.TableRecord(row) for row in found.sample], schema)


def _image(svg: str, alt: str) -> str:
    return f"![{alt}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"
