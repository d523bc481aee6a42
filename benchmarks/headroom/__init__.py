"""Simulated worlds of which it is known how much there is to learn."""

IMPRESSIONS_PER_POST = 250
"""As in a world of the simulator's defaults: ten times the impressions come with ten times the posts."""
