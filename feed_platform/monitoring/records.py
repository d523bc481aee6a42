"""Drift reports in the lake: `monitoring.drift`, a row for each column and one for the whole."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from feed_platform.lake import Lake
from feed_platform.learning.splits import Window
from feed_platform.monitoring.comparison import Finding

TABLE = "monitoring.drift"
WHOLE = "report"
SHARE = "share of drifted features"
SHARE_THRESHOLD = 0.5


@dataclass(frozen=True)
class DriftReport:
    """One comparison of the days of `window` with what `model_version` was fitted to.

    `rows` are those compared on each side. `problem` says why nothing could be compared: then
    there are no findings and no page. `notes` are what a reader of the numbers must know.
    """

    report_id: str
    model_version: str | None = None
    window: Window | None = None
    reference_rows: int = 0
    current_rows: int = 0
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    page: Path | None = None
    problem: str | None = None

    @property
    def drifted(self) -> list[Finding]:
        """What drifted, strongest first."""
        return sorted((one for one in self.findings if one.is_drifted), key=lambda one: -one.strength)

    @property
    def share(self) -> float | None:
        """The share of compared features that drifted; None where none was compared."""
        features = [found.is_drifted for found in self.findings if found.kind == "feature"]
        return sum(features) / len(features) if features else None


@dataclass(frozen=True)
class Verdict:
    """The last report as the lake keeps it: the share of drifted features, or why there is none."""

    report_id: str
    method: str
    share: float | None
    threshold: float | None
    drifted: tuple[str, ...]

    @property
    def is_calm(self) -> bool:
        """Whether the features were compared and few of them drifted."""
        return self.share is not None and self.threshold is not None and self.share < self.threshold


def record(lake: Lake, report: DriftReport) -> None:
    """Write a report's rows in place of those that it had."""
    with lake.write("drift report", {"report_id": report.report_id}) as con:
        con.execute(f"delete from {TABLE} where report_id = ?", [report.report_id])
        con.executemany(f"insert into {TABLE} values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _rows(report))


def last_verdict(con: duckdb.DuckDBPyConnection) -> Verdict | None:
    """What the newest report found; None before the first one."""
    whole = con.execute(
        f"select report_id, method, value, threshold from {TABLE} where kind = '{WHOLE}' "
        "order by reported_at desc, report_id limit 1"
    ).fetchone()
    if whole is None:
        return None
    report_id, method, share, threshold = whole
    drifted = con.execute(
        f"select column_name from {TABLE} where report_id = ? and kind != '{WHOLE}' and is_drifted "
        "order by value / threshold desc",
        [report_id],
    ).fetchall()
    return Verdict(report_id, method, share, threshold, tuple(column for (column,) in drifted))


def _rows(report: DriftReport) -> list[tuple[object, ...]]:
    """A row for each finding and one for the whole, as `monitoring.drift` has its columns."""
    window = (report.window.start, report.window.end) if report.window else (None, None)
    made = (report.model_version, datetime.now(UTC).replace(tzinfo=None))
    columns = [
        (one.kind, one.column, one.method, one.value, one.threshold, one.is_drifted)
        for one in report.findings
    ]
    return [(report.report_id, *window, *column, *made) for column in [*columns, _whole(report)]]


def _whole(report: DriftReport) -> tuple[object, ...]:
    if report.share is None:
        return WHOLE, None, report.problem, None, None, None
    return WHOLE, None, SHARE, report.share, SHARE_THRESHOLD, report.share >= SHARE_THRESHOLD
