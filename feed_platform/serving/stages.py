"""Where the time of a ranking goes: for metrics, and for the client as `Server-Timing`."""

import time

from feed_platform.serving.metrics import Metrics


class Stages:
    """The stages of one request, one after another."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._seconds: dict[str, float] = {}

    def end(self, stage: str) -> None:
        """A stage ends here, the next one begins."""
        now = time.perf_counter()
        self._seconds[stage] = now - self._began
        self._began = now

    def count(self, metrics: Metrics) -> None:
        """Add each stage to the metrics."""
        for stage, seconds in self._seconds.items():
            metrics.stages[stage].observe(seconds)

    def told(self) -> str:
        """As `Server-Timing` says it, in milliseconds."""
        return ", ".join([f"{stage};dur={seconds * 1e3:.3f}" for stage, seconds in self._seconds.items()])
