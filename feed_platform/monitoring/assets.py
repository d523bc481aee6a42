"""The drift report as an asset."""

import dagster as dg

from feed_platform.learning.plots import markdown_image
from feed_platform.monitoring.described import drift_columns
from feed_platform.monitoring.drift import report_drift
from feed_platform.monitoring.plots import strength_figure
from feed_platform.monitoring.records import TABLE, DriftReport
from feed_platform.monitoring.windows import NEEDED_ROWS
from feed_platform.resources import Home
from feed_platform.table_metadata import add_profile, table_definition

LISTED = 20


@dg.asset(
    key=["monitoring", "drift"],
    group_name="monitoring",
    deps=[["training", "examples"], ["training", "promotion"], ["serving", "candidates"]],
    kinds={"ducklake", "evidently"},
    metadata=table_definition(TABLE, drift_columns()),
    description="Recent features, scores and labels against what the champion was fitted to.",
)
def drift(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
    """Write the report's page and its rows in `monitoring.drift`."""
    report = report_drift(home.settings, home.feed)
    with home.lake.read() as con:
        add_profile(context, con, context.asset_key, "reported_at")
    if report.problem:
        context.log.warning(report.problem)
        return dg.MaterializeResult(metadata=_amounts(report))
    return dg.MaterializeResult(metadata={**_amounts(report), **_findings(report)})


def _amounts(report: DriftReport) -> dict[str, dg.MetadataValue]:
    return {
        "verdict": dg.MetadataValue.text(report.problem or f"{len(report.drifted)} columns drifted"),
        "report": dg.MetadataValue.text(report.report_id),
        "reference rows": dg.MetadataValue.int(report.reference_rows),
        "current rows": dg.MetadataValue.int(report.current_rows),
        "needed rows": dg.MetadataValue.int(NEEDED_ROWS),
    }


def _findings(report: DriftReport) -> dict[str, dg.MetadataValue]:
    strongest = sorted(report.findings, key=lambda found: -found.strength)[:LISTED]
    records = [
        dg.TableRecord(
            {
                "column": found.column,
                "kind": found.kind,
                "distance": found.value,
                "threshold": found.threshold,
                "drifted": found.is_drifted,
                "method": found.method,
            }
        )
        for found in strongest
    ]
    return {
        "page": dg.MetadataValue.path(str(report.page)),
        "drifted columns": dg.MetadataValue.int(len(report.drifted)),
        "share of drifted features": dg.MetadataValue.float(report.share or 0.0),
        "strongest": dg.MetadataValue.table(records),
        "notes": dg.MetadataValue.md("\n".join(f"- {note}" for note in report.notes)),
        "plot": dg.MetadataValue.md(markdown_image(strength_figure(report.findings), "drift")),
    }
