"""The hourly refresh."""

import dagster as dg


@dg.schedule(
    job_name="refresh",
    cron_schedule="12 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Just after `feature_delay`, when the hour that requests are served with has changed.",
)
def hourly_refresh(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run an hour, however often the tick fires."""
    return dg.RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H}")
