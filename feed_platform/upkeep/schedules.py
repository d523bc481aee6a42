"""The daily upkeep as a Dagster job."""

from datetime import timedelta

import dagster as dg

from feed_platform.lake.maintenance import KEEP
from feed_platform.resources import Home
from feed_platform.upkeep.run import keep_up


class UpkeepConfig(dg.Config):
    """How many days old versions and imported logs stay."""

    keep_days: int = KEEP.days


@dg.op(description="Compact the lake, expire old versions, remove what nothing names.")
def keep_home_up(context: dg.OpExecutionContext, config: UpkeepConfig, home: Home) -> None:
    """Run the upkeep; its figures go to the run's log."""
    if not home.lake.exists():
        context.log.info("no lake yet: nothing to do")
        return
    for line in keep_up(home.settings, timedelta(days=config.keep_days)).lines():
        context.log.info(line)


@dg.job(description="Keep the home small: compaction, retention, removal of leftovers.")
def upkeep() -> None:
    """One step."""
    keep_home_up()


@dg.schedule(
    job=upkeep,
    cron_schedule="20 4 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night, when the drift report is done.",
)
def nightly_upkeep(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run a night, however often the tick fires."""
    return dg.RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%d}")
