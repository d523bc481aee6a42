"""Who comes back after a crash, and who doesn't."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import dagster as dg
import pytest

from feed_platform.processes import Process
from feed_platform.resources import Home
from feed_platform.serving import sensors
from feed_platform.serving.cluster import Cluster
from feed_platform.settings import Settings


def test_a_dead_head_is_started_again_once_and_a_stopped_one_is_not(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Settings] = []
    monkeypatch.setattr(sensors, "revive", started.append)
    this = Process.find(os.getpid())
    assert this is not None
    alive = Cluster(this, Path("/tmp"), 21_000, "127.0.0.1", "haproxy")
    dead = replace(alive, head=Process(this.pid, this.started - 1))  # the number is another's now

    def look(context: dg.SensorEvaluationContext) -> str | None:
        found = sensors.service_revival(context, home=Home())
        return found.cursor if isinstance(found, dg.SensorResult) else None

    state = home.serving / "cluster.json"
    assert look(dg.build_sensor_context()) is None and not started
    state.write_text(json.dumps(asdict(alive), default=str))
    assert look(dg.build_sensor_context()) is None and not started
    state.write_text(json.dumps(asdict(dead), default=str))
    cursor = look(dg.build_sensor_context())
    assert cursor and len(started) == 1
    assert look(dg.build_sensor_context(cursor=cursor)) is None and len(started) == 1
