"""The service on a real Ray cluster: one cluster for the module, on ports of its own."""

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import pytest

from feed_platform import processes
from feed_platform.feed import FeedError
from feed_platform.home import PORT_BLOCK, prepare_home
from feed_platform.interactions.records import decode_feedback, decode_request
from feed_platform.interactions.segments import read_from
from feed_platform.learning import registry
from feed_platform.resources import RESOURCES
from feed_platform.serving import assets, cluster, deployment, pointer, ports, service
from feed_platform.serving.cluster import Cluster
from feed_platform.serving.pointer import Deployed
from feed_platform.serving.ports import Port
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

BASE = 18_500
CANDIDATES = [f"p{n}" for n in range(20)]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    found = Settings(home=tmp_path_factory.mktemp("live") / "home", http_port=BASE, deadline_ms=30_000)
    prepare_home(found)
    samples.fill(found)
    service.start(found)
    yield found
    service.stop(found)


@pytest.fixture
def running(settings: Settings) -> Cluster:
    found = Cluster.running(settings)
    assert found is not None
    return found


@pytest.fixture
def client(running: Cluster) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, timeout=30, trust_env=False) as found:
        yield found


def serve(settings: Settings, seed: int, version: str) -> deployment.Deployment:
    """Deploy a bundle as the registry's champion would be."""
    named = Deployed(samples.make_bundle(seed).save(settings.models), version)
    before = pointer.read(settings)
    assert before is not None
    return deployment._move(settings, before, before.moved_to(named), lambda text: None)


def records(folder: Path) -> list[bytes]:
    return [payload for path in folder.glob("*.*") for payload in read_from(path).payloads]


def listeners(pids: set[int]) -> set[str]:
    """Local addresses on which processes listen, from `ss`."""
    output = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    return {line.split()[3] for line in output.splitlines() if any(f"pid={pid}," in line for pid in pids)}


def test_rank_predict_and_feedback_go_there_and_back(settings: Settings, client: httpx.Client) -> None:
    answer = client.post(
        "/v1/rank", json={"candidate_ids": CANDIDATES, "user_id": "u1", "request_id": "live-1"}
    )
    assert answer.status_code == 200 and answer.json()["served_by"] == "champion"
    top = answer.json()["items"][0]
    predicted = client.post("/v1/predict", json={"rows": [{"user_id": "u1", "post_id": top["post_id"]}]})
    assert predicted.status_code == 200 and 0 < predicted.json()["predictions"][0]["click"] < 1
    event = {
        "event_id": "live-e1",
        "event_type": "impression",
        "post_id": top["post_id"],
        "user_id": "u1",
        "request_id": "live-1",
        "position": 1,
        "occurred_at": samples.now_text(),
    }
    assert client.post("/v1/feedback", json={"events": [event]}).json()["accepted"] == 1
    logged = [decode_feedback(payload).event_id for payload in records(settings.logs / "feedback")]
    assert logged == ["live-e1"]
    deadline = time.monotonic() + 5
    while not (found := records(settings.logs / "requests")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert decode_request(found[0]).request_id == "live-1"


def test_a_new_model_swaps_in_under_load_without_a_failed_request(
    settings: Settings, client: httpx.Client
) -> None:
    done, statuses, versions = threading.Event(), [], []

    def hammer() -> None:
        with httpx.Client(base_url=client.base_url, timeout=30, trust_env=False) as own:
            while not done.is_set():
                answer = own.post("/v1/rank", json={"candidate_ids": CANDIDATES})
                statuses.append(answer.status_code)
                versions.append(answer.json().get("model_version"))

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        deployed = [serve(settings, seed, str(seed)) for seed in (2, 3, 4)]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert [one.version for one in deployed] == ["2", "3", "4"]
    assert set(statuses) == {200} and len(statuses) > 100
    assert {"2", "3"} <= set(versions) and client.get("/readyz").json()["model_version"] == "4"


def crown(settings: Settings, seed: int) -> str:
    """Register a bundle among a run's artifacts, as training does, and make it the champion."""
    version = samples.registered(settings, seed).version
    registry.set_champion(settings, version)
    return version


def test_the_asset_deploys_the_champion_and_rollback_undoes_it(
    settings: Settings, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEED_HOME", str(settings.root))
    monkeypatch.setenv("FEED_HTTP_PORT", str(BASE))
    versions = [crown(settings, seed) for seed in (11, 12)]
    for version in versions:
        registry.set_champion(settings, version)
        result = dg.materialize([assets.deployment], resources=RESOURCES)
        (event,) = result.asset_materializations_for_node("serving__deployment")
        assert event.metadata["version"].value == version
        assert client.get("/readyz").json()["model_version"] == version
    assert versions[0] in deployment.rollback(settings)
    assert client.get("/readyz").json()["model_version"] == versions[0]
    champion = registry.champion(settings)
    assert champion and champion.version == versions[0]


def test_a_model_that_a_replica_refuses_is_not_deployed(settings: Settings, client: httpx.Client) -> None:
    before = pointer.read(settings)
    assert before is not None
    broken = Deployed("0" * 64, "99")
    with pytest.raises(FeedError, match="refuses"):
        deployment._move(settings, before, before.moved_to(broken), lambda text: None)
    assert pointer.read(settings) == before
    assert client.get("/readyz").json()["bundle"] == before.current.bundle


def test_nothing_listens_off_loopback(running: Cluster) -> None:
    addresses = listeners({process.pid for process in running.processes()})
    hosts = {address.rpartition(":")[0] for address in addresses}
    numbers = {int(address.rpartition(":")[2]) for address in addresses}
    assert hosts <= {"127.0.0.1", "[::ffff:127.0.0.1]", "[::1]"}, addresses
    assert {BASE + port for port in (Port.HTTP, Port.GCS, Port.DASHBOARD, Port.HAPROXY_STATS)} <= numbers
    assert numbers & {BASE + port for port in ports.REPLICA_HTTP}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/jobs/"),
        ("POST", "/api/jobs/"),
        ("DELETE", "/api/serve/applications/"),
        ("PUT", "/api/serve/applications/"),
    ],
)
def test_rays_api_refuses_who_has_no_token(running: Cluster, method: str, path: str) -> None:
    url = f"http://127.0.0.1:{running.base + Port.DASHBOARD}{path}"
    body = {"entrypoint": "echo owned"} if method != "GET" else None
    assert httpx.request(method, url, json=body, trust_env=False).status_code == 401
    wrong = {"Authorization": "Bearer " + "0" * 64}
    assert httpx.request(method, url, json=body, headers=wrong, trust_env=False).status_code in (401, 403)


def test_secrets_are_readable_by_their_owner_alone(settings: Settings, running: Cluster) -> None:
    for name in ("ray.token", "replica.json"):
        assert (settings.serving / name).stat().st_mode & 0o077 == 0
    assert running.folder.stat().st_mode & 0o077 == 0
    assert len(str(running.folder)) <= cluster.SOCKET_FOLDER_LENGTH


def test_starting_again_changes_nothing_and_other_ports_are_refused(
    settings: Settings, running: Cluster
) -> None:
    pids = {process.pid for process in running.processes()}
    assert service.start(settings) == running
    assert pids <= {process.pid for process in running.processes()}
    with pytest.raises(FeedError, match="feed serve stop"):
        cluster.start(settings.model_copy(update={"http_port": BASE + 100}))


def test_busy_ports_are_a_clear_message(settings: Settings, home: Settings) -> None:
    with pytest.raises(FeedError, match=f"port {BASE} is in use .* FEED_HTTP_PORT"):
        cluster.start(home.model_copy(update={"http_port": BASE}))
    assert Cluster.remembered(home) is None


def test_status_says_what_runs(settings: Settings, running: Cluster) -> None:
    facts = service.status(settings)
    assert facts["running"] and facts["application"] == "RUNNING" and facts["url"] == running.url
    (replica,) = facts["replicas"]
    assert replica["ready"] and replica["model_version"] == facts["deployed_version"]


def test_a_killed_head_leaves_nothing_and_starting_brings_the_service_back(settings: Settings) -> None:
    dead = Cluster.running(settings)
    assert dead is not None
    dead.head.signal(signal.SIGKILL)
    assert processes.wait_all([dead.head], 10)
    running = service.start(settings)
    assert not dead.processes() and running.head != dead.head
    assert service.replicas(settings, running)[0]["ready"]


def test_stopping_ends_all_that_was_started(settings: Settings) -> None:
    running = Cluster.running(settings)
    assert running is not None
    started = running.processes()
    assert len(started) > 10
    service.stop(settings)
    assert not [process for process in started if process.is_alive]
    assert not running.folder.exists() and Cluster.remembered(settings) is None
    for port in range(BASE, BASE + PORT_BLOCK):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    service.stop(settings)
