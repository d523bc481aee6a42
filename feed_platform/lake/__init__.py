"""The lake: DuckLake tables that readers never block and one writer at a time changes."""

from feed_platform.lake.connection import Lake
from feed_platform.lake.seal import as_of, as_of_now, now, seal

__all__ = ["Lake", "as_of", "as_of_now", "now", "seal"]
