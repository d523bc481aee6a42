"""Tests of feed_platform.lake."""
