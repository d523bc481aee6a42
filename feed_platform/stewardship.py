"""Who answers for the assets, and how old each may become."""

from datetime import timedelta

import dagster as dg

from feed_platform.feed import Feed, find_feed
from feed_platform.settings import Settings

# By the schedules: `hourly_refresh` (its two groups) and `nightly_drift`, twice as long before it warns.
AGES = {
    "interactions": (timedelta(hours=2), timedelta(hours=6)),
    "features": (timedelta(hours=2), timedelta(hours=6)),
    "monitoring": (timedelta(hours=26), timedelta(hours=50)),
}
FEED = find_feed(Settings())
OWNERS = FEED.owners if FEED else Feed.model_fields["owners"].default


def with_stewardship(spec: dg.AssetSpec) -> dg.AssetSpec:
    """An asset with the owners that `feed.toml` names, unless it has its own, and a freshness policy."""
    policy = spec.freshness_policy or freshness(spec.group_name, FEED)
    return spec.replace_attributes(owners=list(spec.owners or OWNERS), freshness_policy=policy)


def freshness(group: str | None, feed: Feed | None) -> dg.FreshnessPolicy | None:
    """The ages from which a group's assets are late and have failed; none for a log, whose clock stands."""
    if group not in AGES or feed is None or feed.clock == "log":
        return None
    warn, fail = AGES[group]
    return dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=warn)
