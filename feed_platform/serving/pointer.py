"""Which bundle is deployed and which were before, and which one stands beside it for a look.

`serving/champion.json` and `serving/challenger.json`, each replaced in one step.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from feed_platform.feed import FeedError, write_atomically
from feed_platform.settings import Settings

KEPT = 10


@dataclass(frozen=True)
class Deployed:
    """A bundle in service: its folder's name (SHA-256) and its registry version."""

    bundle: str
    version: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.bundle):
            raise FeedError(f"{self.bundle!r} names no bundle: a SHA-256 of 64 hex digits is wanted")
        if not re.fullmatch(r"\w{1,64}", self.version):
            raise FeedError(f"{self.version!r} names no model version")


@dataclass(frozen=True)
class Pointer:
    """The deployed bundle and those before it, newest first."""

    current: Deployed
    history: tuple[Deployed, ...] = ()

    def moved_to(self, deployed: Deployed) -> "Pointer":
        """The pointer after deploying a bundle; the same where it is in service already."""
        if deployed == self.current:
            return self
        earlier = (self.current, *(known for known in self.history if known != deployed))
        return Pointer(deployed, earlier[:KEPT])

    def moved_back(self) -> "Pointer":
        """The pointer after going back to the bundle before.

        Raises:
            FeedError: there is none.
        """
        if not self.history:
            raise FeedError("there is no earlier deployment to go back to")
        return Pointer(self.history[0], self.history[1:])


def pointer_path(settings: Settings) -> Path:
    """Where the pointer lies."""
    return settings.serving / "champion.json"


def read(settings: Settings) -> Pointer | None:
    """The home's pointer; `None` before the first deployment."""
    path = pointer_path(settings)
    return parse(path.read_text()) if path.exists() else None


def parse(text: str) -> Pointer:
    """The pointer that a file's text says."""
    data = json.loads(text)
    history = tuple(Deployed(**known) for known in data.get("history", ()))
    return Pointer(Deployed(data["bundle"], data["version"]), history)


def write(settings: Settings, pointer: Pointer | None) -> None:
    """Replace the pointer; with `None` take it away."""
    if pointer is None:
        pointer_path(settings).unlink(missing_ok=True)
        return
    content = {**asdict(pointer.current), "history": [asdict(known) for known in pointer.history]}
    write_atomically(pointer_path(settings), json.dumps(content, indent=1))


def challenger_path(settings: Settings) -> Path:
    """Where it is written which bundle is the challenger."""
    return settings.serving / "challenger.json"


def read_challenger(settings: Settings) -> Deployed | None:
    """The challenger that replicas load beside the deployed bundle."""
    path = challenger_path(settings)
    return parse_challenger(path.read_text()) if path.exists() else None


def parse_challenger(text: str) -> Deployed:
    """The challenger that a file's text says."""
    return Deployed(**json.loads(text))


def write_challenger(settings: Settings, challenger: Deployed | None) -> None:
    """Replace the challenger; with `None` take it away."""
    if challenger is None:
        challenger_path(settings).unlink(missing_ok=True)
        return
    write_atomically(challenger_path(settings), json.dumps(asdict(challenger), indent=1))
