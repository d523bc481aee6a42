"""Tests of feed_platform.learning."""
