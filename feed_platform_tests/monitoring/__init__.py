"""Tests of feed_platform.monitoring."""
