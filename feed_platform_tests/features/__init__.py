"""Tests of feed_platform.features."""
