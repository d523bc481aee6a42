"""What a replica counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

STAGES = ("parse", "rank", "answer")


class Metrics:
    """One replica's counters; labels come from small fixed sets, never from requests."""

    def __init__(self, replica: str) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "feed_request_seconds",
            "Time to answer.",
            ["route", "status"],
            registry=self._registry,
            buckets=BUCKETS,
        )
        by_stage = Histogram(
            "feed_rank_stage_seconds",
            "Time of a ranking by stage; rank holds the wait for one before.",
            ["stage"],
            registry=self._registry,
            buckets=BUCKETS,
        )
        self.stages = {stage: by_stage.labels(stage) for stage in STAGES}
        self.served = self._counter("feed_rankings", "Rankings by the tier that served them.", "served_by")
        self.tier_failures = self._counter("feed_tier_failures", "Tiers that failed to score.", "tier")
        self.tier_skips = self._counter("feed_tier_skips", "Tiers passed over for want of time.", "tier")
        self.refused = self._counter("feed_refused", "Requests refused because too much waited.")
        self.dropped = self._counter("feed_request_records_dropped", "Request records that were not logged.")
        self.feedback = self._counter("feed_feedback_events", "Feedback events by outcome.", "outcome")
        self.load_errors = self._counter("feed_load_errors", "Failed loads of a model or snapshot.", "part")
        self.features_as_of = self._gauge("feed_features_as_of_seconds", "The features' hour (Unix time).")
        self.waiting = self._gauge("feed_log_waiting", "Log entries not yet written.", "log")
        self.waiting_bytes = self._gauge("feed_log_waiting_bytes", "Memory that these take.", "log")
        self._info = self._gauge("feed_replica_info", "What this replica serves.", "replica", "model_version")
        self._replica = replica
        self._answered: dict[tuple[str, int], Histogram] = {}

    def answered(self, route: str, status: int) -> Histogram:
        """The time of answers of a route with a status, looked up once: finding a label costs a lock."""
        found = self._answered.get((route, status))
        if found is None:
            found = self._answered[route, status] = self._seconds.labels(route, str(status))
        return found

    def describe(self, model_version: str | None) -> None:
        """Say which model version serves."""
        self._info.clear()
        self._info.labels(self._replica, model_version or "none").set(1)

    def exposition(self) -> bytes:
        """The text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, registry=self._registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(name, help_text, labels, registry=self._registry)
