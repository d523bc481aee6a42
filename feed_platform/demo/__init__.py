"""`make demo`: the whole line on a simulated month and on a real log."""

from feed_platform.demo.run import run_demo

__all__ = ["run_demo"]
