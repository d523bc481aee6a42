"""What the last drift report says, as a warning."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from feed_platform.monitoring.records import last_verdict
from feed_platform.resources import Home


@dg.asset_check(
    asset=["monitoring", "drift"],
    description="Fewer than half of the compared features have drifted. No comparison is no pass.",
)
def few_features_drifted(home: Home) -> dg.AssetCheckResult:
    """Warn with the numbers of the last report."""
    with home.lake.read() as con:
        verdict = last_verdict(con)
    if verdict is None:
        return _result(False, "there is no drift report yet", {})
    if verdict.share is None:
        return _result(False, verdict.method, {"report": verdict.report_id})
    return _result(
        verdict.is_calm,
        f"{verdict.share:.0%} of the compared features drifted, the threshold is {verdict.threshold:.0%}",
        {
            "report": verdict.report_id,
            "share of drifted features": verdict.share,
            "threshold": verdict.threshold,
            "drifted columns": ", ".join(verdict.drifted) or "none",
        },
    )


def _result(passed: bool, description: str, metadata: Mapping[str, Any]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=passed, severity=dg.AssetCheckSeverity.WARN, description=description, metadata=metadata
    )
