"""When the service must be brought back."""

import dagster as dg

from feed_platform.resources import Home
from feed_platform.serving.revival import dead_head, revive


@dg.sensor(
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the ranking service again where its Ray head died; one that was stopped stays so.",
)
def service_revival(context: dg.SensorEvaluationContext, home: Home) -> dg.SensorResult | dg.SkipReason:
    """One start for each death; serving/revival.log holds what it said."""
    dead = dead_head(home.settings)
    if dead is None or dead == context.cursor:
        return dg.SkipReason("the service runs, or was stopped" if dead is None else f"{dead} is coming back")
    revive(home.settings)
    return dg.SensorResult(cursor=dead, skip_reason=f"head {dead} had died: feed serve start")
