"""Tests of feed_platform.evaluation."""
