"""The Dagster code location: gathers what the packages define."""

import dagster as dg

from feed_platform import jobs
from feed_platform.evaluation import assets as evaluation
from feed_platform.features import assets as features
from feed_platform.features import schedules as feature_schedules
from feed_platform.interactions import assets as interactions
from feed_platform.interactions import checks as interaction_checks
from feed_platform.learning import assets as learning
from feed_platform.monitoring import assets as monitoring
from feed_platform.monitoring import checks as monitoring_checks
from feed_platform.monitoring import schedules as monitoring_schedules
from feed_platform.monitoring import sensors as monitoring_sensors
from feed_platform.resources import RESOURCES
from feed_platform.serving import assets as serving

STAGES = [interactions, features, learning, evaluation, serving, monitoring]

defs = dg.Definitions.merge(
    *(dg.load_definitions_from_module(stage) for stage in STAGES),
    *(dg.load_definitions_from_module(checks) for checks in (interaction_checks, monitoring_checks)),
    *(dg.load_definitions_from_module(timing) for timing in (feature_schedules, monitoring_schedules)),
    dg.load_definitions_from_module(monitoring_sensors),
    dg.Definitions(jobs=list(jobs.JOBS), resources=RESOURCES, executor=dg.in_process_executor),
)
