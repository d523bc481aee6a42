"""When new data calls for a drift report."""

import dagster as dg

from feed_platform.feed import FeedError
from feed_platform.monitoring.arrivals import Arrivals, arrivals
from feed_platform.resources import Home


@dg.sensor(
    job_name="drift",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="A new day of training examples, or 1,000 candidates logged since the last report.",
)
def new_data(context: dg.SensorEvaluationContext, home: Home) -> dg.SensorResult | dg.SkipReason:
    """One run for what has arrived; the cursor moves only when a run is asked for."""
    try:
        with home.lake.read() as con:
            found = arrivals(con)
    except FeedError as error:
        return dg.SkipReason(str(error))
    last = Arrivals.parse(context.cursor)
    if not found.call_for_report(last):
        return dg.SkipReason(f"nothing new to compare: {found.key}, at the last report {last.key}")
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=found.key)], cursor=found.cursor)
