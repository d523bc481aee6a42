"""Benchmarks of the ranking service."""
