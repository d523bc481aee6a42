"""Homes whose MLflow store is a copy: creating one anew takes seconds."""

from feed_platform_tests.learning.homes import home, migrated_store, new_home

__all__ = ["home", "migrated_store", "new_home"]
