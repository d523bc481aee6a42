"""The deployment as an asset."""

import dagster as dg

from feed_platform.resources import Home
from feed_platform.serving.deployment import awaits_approval, deploy


class DeploymentConfig(dg.Config):
    """Whether a run deploys: a feed that is only evaluated needs no service."""

    deploy: bool = True


@dg.asset(
    key=["serving", "deployment"],
    group_name="serving",
    kinds={"ray"},
    deps=[["training", "promotion"], ["features", "online_snapshot"]],
)
def deployment(
    context: dg.AssetExecutionContext, config: DeploymentConfig, home: Home
) -> dg.MaterializeResult:
    """The champion in service on Ray Serve, beside Dagster.

    Moves the pointer that the replicas watch, waits until each serves the new version, compares
    an answer with one computed here, and puts the version before back where that fails.
    """
    if not config.deploy:
        return dg.MaterializeResult(metadata={"deployed": False})
    if awaits_approval(home.settings):
        context.log.warning("no model may serve yet: feed approve says which one")
        return dg.MaterializeResult(metadata={"deployed": False, "waits for": "approval"})
    done = deploy(home.settings, context.log.info)
    return dg.MaterializeResult(
        metadata={
            "deployed": True,
            "version": done.version,
            "bundle": done.bundle,
            "url": dg.MetadataValue.url(done.url),
            "docs": dg.MetadataValue.url(f"{done.url}/docs"),
            "ready_seconds": done.ready_seconds,
            "p50_ms": done.p50_ms,
            "candidates": done.candidates,
        }
    )
