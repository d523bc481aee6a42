"""The process environment that every entry point of the platform needs."""

import os
import warnings

TELEMETRY_OFF = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "ITERATIVE_DO_NOT_TRACK": "1",
    "DAGSTER_DISABLE_TELEMETRY": "1",
}
NO_PICKLE = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}


def silence_telemetry() -> None:
    """Turn off the telemetry of every dependency, and MLflow's pickle loading.

    Runs when `feed_platform` is imported, before any of them: MLflow writes an
    installation id to the home folder at import unless the variable is already set.
    A value that the user has set stays.
    """
    for name, value in {**TELEMETRY_OFF, **NO_PICKLE}.items():
        os.environ.setdefault(name, value)


def silence_maturity_warnings() -> None:
    """Drop Dagster's remarks that a parameter is in beta: pins.txt answers for what runs."""
    warnings.filterwarnings("ignore", message=r".*is currently in (beta|preview)", append=False)
