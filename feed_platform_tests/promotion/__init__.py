"""Tests of feed_platform.promotion."""
