"""From a raw interaction log to a ranked feed and back: one Dagster asset graph."""

from feed_platform.environment import silence_maturity_warnings, silence_telemetry

silence_telemetry()
silence_maturity_warnings()
