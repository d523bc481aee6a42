"""The Dagster code location: gathers what the packages define."""

import dagster as dg

from feed_platform.evaluation import assets as evaluation
from feed_platform.evaluation.errors import assets as diagnosis
from feed_platform.features import assets as features
from feed_platform.features import checks as feature_checks
from feed_platform.features.candidates import assets as candidates
from feed_platform.features.schedules import hourly_refresh
from feed_platform.interactions import assets as interactions
from feed_platform.interactions import checks as interaction_checks
from feed_platform.jobs import JOBS
from feed_platform.learning import assets as learning
from feed_platform.learning.jobs import JOBS as SEARCHES
from feed_platform.monitoring import assets as monitoring
from feed_platform.monitoring import checks as monitoring_checks
from feed_platform.monitoring.schedules import nightly_drift
from feed_platform.monitoring.sensors import new_data
from feed_platform.promotion import assets as promotion
from feed_platform.promotion.jobs import JOBS as DECISIONS
from feed_platform.resources import RESOURCES
from feed_platform.serving import assets as serving
from feed_platform.serving import checks as serving_checks
from feed_platform.serving.sensors import service_revival
from feed_platform.stewardship import with_stewardship
from feed_platform.upkeep.schedules import nightly_upkeep, upkeep

STAGES = [interactions, features, candidates, learning, evaluation, diagnosis, promotion, serving, monitoring]
CHECKS = [interaction_checks, feature_checks, serving_checks, monitoring_checks]

defs = dg.Definitions(
    assets=dg.load_assets_from_modules(STAGES),
    asset_checks=dg.load_asset_checks_from_modules(CHECKS),
    jobs=[*JOBS, *SEARCHES, *DECISIONS, upkeep],
    schedules=[hourly_refresh, nightly_drift, nightly_upkeep],
    sensors=[new_data, service_revival],
    resources=RESOURCES,
    executor=dg.in_process_executor,
).map_asset_specs(func=with_stewardship)
