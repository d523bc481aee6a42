"""Tests of feed_platform.serving."""
