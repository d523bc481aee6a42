"""The hourly refresh."""

import dagster as dg

from feed_platform.partitions import open_days


@dg.schedule(
    job_name="refresh",
    cron_schedule="12 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Just after `feature_delay`, when the hour that requests are served with has changed.",
)
def hourly_refresh(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One run an hour, however often the tick fires; none before the first import."""
    days = open_days()
    if not days:
        return dg.SkipReason("no feed yet: import a log (feed import MAPPING)")
    return dg.RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H}", tags=days)
