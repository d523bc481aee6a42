"""Tests of the whole line and of the whole repository."""
