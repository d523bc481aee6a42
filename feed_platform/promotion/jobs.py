"""A person's word as Dagster jobs: approve, reject, roll back."""

import dagster as dg
from pydantic import Field

from feed_platform.promotion.decisions import approve, reject, roll_back
from feed_platform.resources import RESOURCES, Home


class Approval(dg.Config):
    """Which version, and why."""

    version: str | None = Field(None, description="Of the registry; none: the one that waits.")
    despite: str | None = Field(None, description="Why, where the version didn't pass.")


class Rejection(dg.Config):
    """Which version, and why."""

    version: str | None = Field(None, description="Of the registry; none: the one that waits.")
    reason: str = Field("", description="Kept with the version.")


@dg.op(name="approve")
def approve_op(context: dg.OpExecutionContext, config: Approval, home: Home) -> None:
    """Make the version that waits the champion, in service where one runs."""
    context.log.info(approve(home.settings, home.feed, config.version, config.despite))


@dg.op(name="reject")
def reject_op(context: dg.OpExecutionContext, config: Rejection, home: Home) -> None:
    """Turn the version that waits down."""
    context.log.info(reject(home.settings, home.feed, config.version, config.reason))


@dg.op(name="roll_back")
def rollback_op(context: dg.OpExecutionContext, home: Home) -> None:
    """Put the model before the champion back into service."""
    context.log.info(roll_back(home.settings, home.feed))


@dg.job(name="approve_model", resource_defs=RESOURCES)
def approve_job() -> None:
    """Approve the model that passed the gate and waits."""
    approve_op()


@dg.job(name="reject_model", resource_defs=RESOURCES)
def reject_job() -> None:
    """Reject the model that waits."""
    reject_op()


@dg.job(name="rollback", resource_defs=RESOURCES)
def rollback_job() -> None:
    """Put the previously deployed model back."""
    rollback_op()


JOBS = (approve_job, reject_job, rollback_job)
