"""Erasing people from a home: lake, logs, snapshots, reports, databases; and the proof that it worked."""

from feed_platform.erasure.record import Erasures, erasures
from feed_platform.erasure.run import Plan, Report, erase, plan

__all__ = ["Erasures", "Plan", "Report", "erase", "erasures", "plan"]
