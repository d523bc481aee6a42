"""What a home needs from time to time: compaction, retention, the removal of what nothing names."""

from feed_platform.upkeep.run import Upkeep, keep_up

__all__ = ["Upkeep", "keep_up"]
