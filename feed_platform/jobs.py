"""The jobs that people and schedules launch, each a selection of the one asset graph."""

import dagster as dg

from feed_platform.partitions import every_day, open_days

GROUPS = dg.AssetSelection.groups

# Launched without a choice of partitions, a job takes every day of the feed.
EVERY_DAY = every_day()

ingest = dg.define_asset_job(
    "ingest",
    GROUPS("interactions"),
    description="Import the feed's sources and the service's logs.",
    tags=EVERY_DAY,
)
build_features = dg.define_asset_job(
    "build_features",
    GROUPS("features"),
    description="Build the features and publish the online snapshot.",
    tags=EVERY_DAY,
)
train = dg.define_asset_job(
    "train",
    GROUPS("learning", "evaluation"),
    description="Training table, baselines and ranker, report, gate.",
    tags=EVERY_DAY,
)
deploy = dg.define_asset_job(
    "deploy", GROUPS("serving"), description="Bring the model that passed, or the champion, up on Ray Serve."
)
drift = dg.define_asset_job("drift", GROUPS("monitoring"), description="Recent data against the reference.")
refresh = dg.define_asset_job(
    "refresh",
    GROUPS("interactions", "features"),
    description="Import the logs, build the open days, seal, publish the snapshot.",
    tags=open_days(),
)
diagnose = dg.define_asset_job(
    "diagnose",
    GROUPS("diagnosis"),
    description="Learning curve and ablation of a model version: some fifteen trainings of the ranker.",
)
whole_line = dg.define_asset_job(
    "whole_line",
    dg.AssetSelection.all() - GROUPS("diagnosis"),
    description="Every asset but the diagnosis, in order.",
    tags=EVERY_DAY,
)

JOBS = (ingest, build_features, train, deploy, drift, refresh, diagnose, whole_line)
