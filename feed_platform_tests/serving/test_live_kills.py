"""Twenty kills of a replica while 100,000 events are posted by a client that retries."""

import random
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from feed_platform.home import prepare_home
from feed_platform.interactions.log_import import import_logs
from feed_platform.lake import Lake
from feed_platform.processes import Process
from feed_platform.serving import service
from feed_platform.serving.cluster import Cluster
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

BASE = 18_900
KILLS, EVENTS, BATCH = 20, 100_000, 500
PATIENCE = 120.0

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    home = tmp_path_factory.mktemp("killed") / "home"
    found = Settings(home=home, http_port=BASE, replicas=2, deadline_ms=30_000)
    prepare_home(found)
    samples.fill(found)
    service.start(found)
    yield found
    service.stop(found)


def kill_one(settings: Settings, running: Cluster, delay: float) -> int:
    """Kill one of this service's replicas after a moment; its pid."""
    deadline = time.monotonic() + PATIENCE
    while not (found := [one for one in service.replicas(settings, running) if "replica" in one]):
        assert time.monotonic() < deadline, "no replica came back"
    replica = Process.find(found[0]["pid"])
    time.sleep(delay)
    if replica and replica in running.processes():
        replica.signal(signal.SIGKILL)
    return int(found[0]["pid"])


def post(client: httpx.Client, first: int) -> None:
    """Post a batch until all of it is acknowledged."""
    at = datetime.now(UTC).isoformat()
    events = [
        {"event_id": f"e{n}", "event_type": "click", "post_id": "p1", "user_id": "u1", "occurred_at": at}
        for n in range(first, first + BATCH)
    ]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            answer = client.post("/v1/feedback", json={"events": events})
            if answer.status_code == httpx.codes.OK:
                found = answer.json()
                assert found["accepted"] + found["duplicates"] == BATCH
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"the events from {first} were not acknowledged")


def test_every_acknowledged_event_is_in_the_lake_exactly_once(settings: Settings) -> None:
    running = Cluster.running(settings)
    assert running is not None
    rng, killed = random.Random(3), set()
    batches = range(0, EVENTS, BATCH)
    with httpx.Client(base_url=running.url, timeout=30, trust_env=False) as client:
        for number, first in enumerate(batches):
            if number % (len(batches) // KILLS) == 0:
                delay = rng.random() * 0.05
                thread = threading.Thread(
                    target=lambda delay=delay: killed.add(kill_one(settings, running, delay))
                )
                thread.start()
            post(client, first)
            if number % (len(batches) // KILLS) == len(batches) // KILLS - 1:
                thread.join(PATIENCE)
    assert len(killed) == KILLS
    for _ in range(2):
        with Lake.of(settings).write("import logs") as con:
            import_logs(con, settings, samples.FEED, datetime.now(UTC).replace(tzinfo=None))
    with Lake.of(settings).read() as con:
        assert con.execute(
            "select count(*), count(distinct engagement_id) from raw.engagements"
        ).fetchone() == (
            EVENTS,
            EVENTS,
        )
        assert con.execute("select count(*) from quarantine.engagements").fetchone() == (0,)
