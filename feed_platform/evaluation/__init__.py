"""Metrics, slices and the report of a model version."""
