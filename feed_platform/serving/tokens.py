"""Who may ask for what: bearer tokens with scopes, kept as hashes in `serving/tokens.json`."""

import json
import re
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal, get_args

from filelock import FileLock

from feed_platform.feed import FeedError, write_atomically
from feed_platform.settings import Settings

Scope = Literal["rank", "feedback", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
LOOK_SECONDS = 1.0
_BEARER = "Bearer "


@dataclass(frozen=True)
class Token:
    """What is kept of a token: never the secret itself."""

    name: str
    sha256: str
    scopes: tuple[Scope, ...]
    created_at: str


def create(settings: Settings, name: str, scopes: list[str]) -> str:
    """Make a token; its secret, which is shown this once and kept nowhere.

    Raises:
        FeedError: the name is taken or no name, or a scope isn't one.
    """
    wanted = tuple(scope for scope in SCOPES if scope in scopes)
    if not wanted or len(wanted) < len(set(scopes)):
        raise FeedError(f"--scope is one of {', '.join(SCOPES)}; got {', '.join(scopes) or 'none'}")
    if not re.fullmatch(r"[\w.-]{1,64}", name):
        raise FeedError(f"{name!r} is no name for a token: letters, digits, '.', '-' and '_' are")
    secret = secrets.token_urlsafe(32)
    with _lock(settings):
        known = tokens(settings)
        if any(one.name == name for one in known):
            raise FeedError(f"there is a token {name!r} already: feed token revoke {name}")
        made = Token(name, _digest(secret), wanted, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        _write(settings, [*known, made])
    return secret


def revoke(settings: Settings, name: str) -> None:
    """Take a token away; replicas refuse it within a second or two.

    Raises:
        FeedError: there is none of this name.
    """
    with _lock(settings):
        known = tokens(settings)
        kept = [one for one in known if one.name != name]
        if len(kept) == len(known):
            raise FeedError(f"there is no token {name!r}: feed token list names them")
        _write(settings, kept)


def tokens(settings: Settings) -> list[Token]:
    """The home's tokens."""
    path = _path(settings)
    return _parse(path.read_text()) if path.exists() else []


def own_secret(settings: Settings) -> str | None:
    """The secret with which this home's own commands ask its service; only its owner reads it."""
    if settings.api_token:
        return settings.api_token.get_secret_value()
    path = settings.serving / "ray.token"
    return path.read_text() if path.exists() else None


class Keyring:
    """A replica's view of the tokens; it looks at the file again each second."""

    def __init__(self, settings: Settings) -> None:
        self._path = _path(settings)
        self._own: dict[str, frozenset[Scope]] = {}
        if secret := own_secret(settings):
            self._own = {_digest(secret): frozenset(SCOPES)}
        self._always = settings.api_token is not None
        self._named: dict[str, frozenset[Scope]] = {}
        self._stamp: int | None = None
        self._look_at = 0.0

    @property
    def is_needed(self) -> bool:
        """Whether a token must be shown: from the first that was made on, also when all are revoked."""
        self._look()
        return self._always or self._stamp is not None

    def scopes(self, authorization: str) -> frozenset[Scope] | None:
        """What a header's bearer may do; None where it isn't known."""
        if not authorization.startswith(_BEARER):
            return None
        # Compared by hash: what a look-up's time tells of a hash doesn't lead to a secret.
        digest = _digest(authorization.removeprefix(_BEARER))
        return self._own.get(digest) or self._named.get(digest)

    def _look(self) -> None:
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        stamp = self._path.stat().st_mtime_ns if self._path.exists() else None
        if stamp is not None and stamp != self._stamp:
            self._stamp, self._named = stamp, {}  # where the file can't be read, nobody is let in by it
            self._named = {one.sha256: frozenset(one.scopes) for one in _parse(self._path.read_text())}


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _parse(text: str) -> list[Token]:
    return [Token(**{**one, "scopes": tuple(one["scopes"])}) for one in json.loads(text)]


def _write(settings: Settings, found: list[Token]) -> None:
    write_atomically(_path(settings), json.dumps([asdict(one) for one in found], indent=1))


def _path(settings: Settings) -> Path:
    return settings.serving / "tokens.json"


def _lock(settings: Settings) -> FileLock:
    return FileLock(settings.serving / "tokens.lock")
