"""What was served and what is stored, against the raw rows: no number may differ."""

from typing import Any

import dagster as dg

from feed_platform.features.differences import (
    Differences,
    logged_differences,
    shares,
    stored_differences,
)
from feed_platform.resources import Home

VECTORS = 500
IMPRESSIONS = 200


@dg.asset_check(
    asset=["features", "online_snapshot"],
    description="Logged feature vectors are what the raw rows before their as_of give, to the last bit.",
)
def parity(home: Home) -> dg.AssetCheckResult:
    """Recompute a sample of the newest week's logged vectors; say how stale the answers were."""
    with home.lake.read() as con:
        found, served = logged_differences(con, home.feed, VECTORS), shares(con, home.feed)
    reported = {"stale requests": served.stale, "unknown posts": served.unknown_posts}
    return _result(found, "nothing logged yet", {k: v for k, v in reported.items() if v is not None})


@dg.asset_check(
    asset=["marts", "impression_features"],
    description="Stored features are what the raw rows known before as_of give: nothing leaks from later.",
)
def no_leakage(home: Home) -> dg.AssetCheckResult:
    """Recompute the features of the newest impressions and of random ones."""
    with home.lake.read() as con:
        found = stored_differences(con, home.feed, IMPRESSIONS)
    return _result(found, "nothing built yet", {})


def _result(found: Differences, without: str, shares: dict[str, Any]) -> dg.AssetCheckResult:
    numbers = f"{found.found} of {found.values} values in {found.vectors} vectors differ"
    return dg.AssetCheckResult(
        passed=not found.found,
        severity=dg.AssetCheckSeverity.ERROR,
        description=numbers if found.vectors else without,
        metadata={
            "differences": found.found,
            "compared vectors": found.vectors,
            "compared values": found.values,
            "features that differ": dg.MetadataValue.json(found.by_feature),
            "examples": "; ".join(found.examples) or "none",
            **shares,
        },
    )
