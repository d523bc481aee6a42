"""Whether what is called the champion is what is deployed."""

import dagster as dg

from feed_platform.learning import registry
from feed_platform.resources import Home
from feed_platform.serving import pointer


@dg.asset_check(
    asset=["serving", "deployment"],
    description="The registry's champion is the version that the serving pointer names.",
)
def alias_and_pointer_agree(home: Home) -> dg.AssetCheckResult:
    """Compare the two; nothing deployed is no disagreement."""
    champion, deployed = registry.champion(home.settings), pointer.read(home.settings)
    named = champion.version if champion else None
    serves = deployed.current.version if deployed else None
    return dg.AssetCheckResult(
        passed=serves in (None, named),
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"champion: version {named or 'none'}; deployed: version {serves or 'none'}",
    )
