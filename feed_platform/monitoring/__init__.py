"""Drift reports, materialized by sensors and schedules."""
