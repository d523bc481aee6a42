"""The drift report: recent features, scores and labels against what the champion was fitted to."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb

from feed_platform.features.catalogue import category_names
from feed_platform.feed import Feed
from feed_platform.lake import Lake
from feed_platform.learning.splits import Window
from feed_platform.monitoring.columns import add_scores, feature_columns
from feed_platform.monitoring.comparison import Columns, Page, compare
from feed_platform.monitoring.labels import compare_labels
from feed_platform.monitoring.records import DriftReport, record
from feed_platform.monitoring.thresholds import daily_thresholds
from feed_platform.monitoring.windows import (
    IMPRESSIONS,
    NEEDED_ROWS,
    Reference,
    champion_reference,
    newest_days,
    recent_features,
    reference_features,
)
from feed_platform.settings import Settings

THRESHOLDS = (
    "A feature has drifted from 1.5 times the distance of the reference's oddest day on, and from 0.1 on."
)
NO_CHAMPION = DriftReport("no champion", problem="there is no champion yet: run dagster job execute -j train")


def report_drift(settings: Settings, feed: Feed) -> DriftReport:
    """Compare, write the page `reports/drift-<last day>.html` and the rows of `monitoring.drift`.

    The same champion and the same days give the same report, written over the one before.
    """
    lake, reference = Lake.of(settings), champion_reference(settings)
    report = NO_CHAMPION
    if reference is not None:
        with lake.read() as con:
            report = examine(con, feed, reference, settings.reports)
    record(lake, report)
    return report


def examine(con: duckdb.DuckDBPyConnection, feed: Feed, reference: Reference, reports: Path) -> DriftReport:
    """Compare the newest days with what the champion was fitted to, and write the page into `reports`.

    The days are the newest ones after those of the reference that hold 2,000 impressions, a week
    at most. Where there are not 500 rows on both sides, the report's `problem` says so.
    """
    days = newest_days(con, IMPRESSIONS, reference.first_day_after)
    fitted, caution = reference_features(con, feed, reference)
    recent = recent_features(con, feed, days)
    report = DriftReport(_report_id(reference, days), reference.version, days, len(fitted), len(recent))
    if days is None or min(len(fitted), len(recent)) < NEEDED_ROWS:
        return replace(report, problem=_too_few(report, reference))
    features, categories = feature_columns(reference.bundle, recent, fitted), category_names(feed)
    columns = Columns(categories, daily_thresholds(features.reference, fitted["day"], categories))
    sides = add_scores(con, features, reference, fitted)
    labels, gaps = compare_labels(con, feed, reference)
    notes = (_origin(report, reference), *([caution] if caution else []), THRESHOLDS, *sides.notes, *gaps)
    page = Page(reports / f"drift-{_last_day(days)}.html", f"{feed.name}: drift on {_last_day(days)}", notes)
    findings = compare(sides.current, sides.reference, columns, page)
    return replace(report, findings=(*findings, *labels), notes=notes, page=page.path)


def _report_id(reference: Reference, days: Window | None) -> str:
    return f"model {reference.version}, {_span(days)}"


def _span(days: Window | None) -> str:
    return f"{days.start:%Y-%m-%d} to {_last_day(days)}" if days else "no days"


def _last_day(days: Window) -> date:
    return (days.end - timedelta(microseconds=1)).date()


def _too_few(report: DriftReport, reference: Reference) -> str:
    return (
        f"not enough data: {report.reference_rows} impressions that the champion was fitted to and "
        f"{report.current_rows} known since {reference.first_day_after:%Y-%m-%d}, "
        f"{NEEDED_ROWS} of each are needed"
    )


def _origin(report: DriftReport, reference: Reference) -> str:
    return (
        f"Current: {report.current_rows} impressions known from {_span(report.window)}. "
        f"Reference: {report.reference_rows} of those that champion version {reference.version} was "
        f"fitted to, shown before {reference.window.end:%Y-%m-%d %H:%M}."
    )
