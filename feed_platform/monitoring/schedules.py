"""The daily drift report."""

import dagster as dg


@dg.schedule(
    job_name="drift",
    cron_schedule="40 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night, when the day before has been imported and built.",
)
def nightly_drift(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run a night, however often the tick fires."""
    return dg.RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%d}")
