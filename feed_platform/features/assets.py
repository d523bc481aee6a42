"""The dbt models as Dagster assets, and the online snapshot that serving reads."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets

from feed_platform.features.builds import record_build
from feed_platform.features.catalogue import GROUPS
from feed_platform.features.described import described_columns
from feed_platform.features.invocation import child_environment, environment
from feed_platform.features.manifest import DBT, prepare_manifest
from feed_platform.features.online import OnlineSnapshot
from feed_platform.features.plan import plan_build
from feed_platform.features.project import PROJECT
from feed_platform.features.publishing import publish
from feed_platform.feed import find_feed
from feed_platform.lake.connection import version_of
from feed_platform.lake.seal import close_again, close_log
from feed_platform.partitions import days_of, time_partitions
from feed_platform.resources import Home
from feed_platform.settings import Settings
from feed_platform.table_metadata import add_profile, table_definition

GROUP = "features"
DAY, KIND = "day of a row", "dagster-dbt/materialization_type"
FEED = find_feed(Settings())


class Translator(DagsterDbtTranslator):
    """Asset keys are [schema, name]; every model belongs to the group `features`."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Sources name their upstream asset in `meta.dagster.asset_key`."""
        if dbt_resource_props["resource_type"] == "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """One group for the whole project."""
        return GROUP

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """Add the columns that a model has beyond those of its yml, and the one that says a row's day."""
        found = super().get_metadata(dbt_resource_props)
        if dbt_resource_props["resource_type"] != "model":
            return found
        table = f"{dbt_resource_props['schema']}.{dbt_resource_props['name']}"
        config = dbt_resource_props["config"]
        day = {DAY: config["day"]} if config["materialized"] == "by_day" else {}
        return {**found, **table_definition(table, described_columns(dbt_resource_props, FEED)), **day}


@dbt_assets(
    manifest=prepare_manifest(),
    dagster_dbt_translator=Translator(),
    partitions_def=time_partitions(),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def feature_tables(context: dg.AssetExecutionContext, home: Home) -> Iterator[Any]:
    """Build the run's days in one dbt process, then note the lake version that it ended with.

    Models whose definition has changed since the last build are built anew over all days first.
    """
    days = days_of(context)
    close_log(home.lake, home.feed, until=days[1])
    plan = plan_build(home.lake, home.feed, days, prepare_manifest())
    context.log.info(str(plan))
    dbt = DbtCliResource(project_dir=str(PROJECT), profiles_dir=str(PROJECT), dbt_executable=str(DBT))
    target = home.settings.root / "dbt" / "target"
    with environment(child_environment(home.settings)):
        if plan.changed and not context.is_subset:
            dbt.cli(plan.rebuild_arguments(), target_path=target).wait()
        yield from _profiled(
            context, home, dbt.cli(plan.arguments(), context=context, target_path=target).stream()
        )
    if not context.is_subset:
        with home.lake.write("features built", {"run_id": context.run_id}) as con:
            record_build(con, version_of(con), plan.sealed_until, plan.definitions)
            close_again(con, plan.reopened)


def _profiled(context: dg.AssetExecutionContext, home: Home, events: Iterable[Any]) -> Iterator[Any]:
    """dbt's events as they come; a table is looked at while dbt, in its own process, builds the next."""
    with home.lake.read() as con:
        for event in events:
            if isinstance(event, dg.Output):
                asset = context.asset_key_for_output(event.output_name)
                definition = context.assets_def.specs_by_key[asset].metadata
                if definition[KIND] != "view":
                    add_profile(context, con, asset, definition.get(DAY))
            yield event


@dg.asset(
    key=["features", "online_snapshot"],
    deps=[["features", "neighbours"], *(["features", f"online_{group}"] for group in GROUPS)],
    group_name=GROUP,
    kinds={"numpy"},
)
def online_snapshot(home: Home) -> dg.MaterializeResult:
    """Features and candidates as of the seal in memory-mapped arrays, which the service's replicas read."""
    folder = publish(home.settings, home.lake, home.feed)
    snapshot = OnlineSnapshot.open(folder)
    return dg.MaterializeResult(
        metadata={
            "folder": dg.MetadataValue.path(str(folder)),
            "as_of": snapshot.as_of.isoformat(),
            "posts": len(snapshot.posts),
            "features": len(snapshot.names),
            **(snapshot.candidates.counts if snapshot.candidates else {}),
        }
    )
