"""The search for better settings as a Dagster job."""

import dagster as dg

from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.search import Limits
from feed_platform.learning.searching import advice, search_home
from feed_platform.learning.tracking import Launch
from feed_platform.resources import RESOURCES, Home


class SearchConfig(dg.Config, RankerConfig, Limits):
    """Today's settings, and when the search ends."""


@dg.op(name="try_settings")
def search_op(context: dg.OpExecutionContext, home: Home, config: SearchConfig) -> None:
    """Try settings of the ranker on train and validation; save the best."""
    base, limits = RankerConfig(**config.model_dump()), Limits(**config.model_dump())
    launch = Launch(context.run_id, context.job_name, context.log)
    found = search_home(home.settings, home.feed, base, limits, launch, context.log.info)
    for line in (*found.lines(), advice(home.settings, found)):
        context.log.info(line)


@dg.job(name="search", resource_defs=RESOURCES)
def search_job() -> None:
    """Search for better settings of the ranker; the gate judges what a training makes of them."""
    search_op()


JOBS = (search_job,)
