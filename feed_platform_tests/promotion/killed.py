"""Moves between two versions, killed before each write: `python -m feed_platform_tests.promotion.killed`.

Each step runs in a process of its own, forked before anything has opened a database. Prints JSON: what
champion and pointer were after the kill, and after the home was settled.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from itertools import count
from typing import Any

from feed_platform.learning import registry
from feed_platform.serving import deployment, pointer
from feed_platform.settings import Settings

# Imported once for all children; importing opens no database.
STORES = ("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store")
MOVES: dict[str, Callable[[Settings], object]] = {
    "rollback": deployment.rollback,
    "promote": lambda settings: deployment.promote(settings, registry.get_version(settings, "3")),
}


def _in_child(step: Callable[[], Any]) -> Any:
    """What a step returns, computed in a child; None where it was killed."""
    reading, writing = os.pipe()
    if not os.fork():
        os.write(writing, json.dumps(step()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    _, status = os.wait()
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return None
    assert status == 0, "a step failed"
    return json.loads(said)


def _versions(settings: Settings) -> dict[str, str | None]:
    champion, deployed = registry.champion(settings), pointer.read(settings)
    return {
        "champion": champion.version if champion else None,
        "pointer": deployed.current.version if deployed else None,
    }


def _reset(settings: Settings) -> None:
    """Version 2 is champion and deployed, version 1 was before."""
    one, two = (registry.get_version(settings, version) for version in ("1", "2"))
    registry.set_alias(settings, "approved", None)
    registry.set_alias(settings, "champion", two)
    deployed = [pointer.Deployed(each.bundle, each.version) for each in (two, one)]
    pointer.write(settings, pointer.Pointer(deployed[0], (deployed[1],)))


def _killed(settings: Settings, move: str, before: int) -> bool:
    """Make a move, killed before its nth write; True where it ended before."""
    _reset(settings)
    writes = count()

    def deadly(write: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: Any) -> None:
            if next(writes) == before:
                os.kill(os.getpid(), signal.SIGKILL)
            write(*arguments)

        return counted

    registry.set_alias = deadly(registry.set_alias)  # type: ignore[assignment]
    pointer.write = deadly(pointer.write)  # type: ignore[assignment]
    MOVES[move](settings)
    return True


def _states(settings: Settings) -> list[dict[str, str | None]]:
    """As they are, and once the home is settled."""
    killed = _versions(settings)
    deployment.settle(settings)
    return [killed, _versions(settings)]


def main(settings: Settings) -> list[dict[str, Any]]:
    """Every move, killed before every write, until it lives through."""
    for name in STORES:
        import_module(name)
    found = []
    for move in MOVES:
        for before in count():
            if _in_child(lambda move=move, before=before: _killed(settings, move, before)):
                break
            killed, settled = _in_child(lambda: _states(settings))
            found.append({"move": move, "before": before, "killed": killed, "settled": settled})
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Settings())))
