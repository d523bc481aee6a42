"""Tests of feed_platform.interactions."""
