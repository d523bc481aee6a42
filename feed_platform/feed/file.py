"""The file `feed.toml` of a home, validated at every read."""

import os
import tomllib
from pathlib import Path

import tomlkit
from pydantic import ValidationError

from feed_platform.feed.model import Feed
from feed_platform.feed.parts import FeedError
from feed_platform.settings import Settings


def feed_path(settings: Settings) -> Path:
    """Where the home's `feed.toml` lies."""
    return settings.root / "feed.toml"


def load_feed(settings: Settings) -> Feed:
    """Read and validate the home's `feed.toml`.

    Raises:
        FeedError: there is none, or it isn't valid; names the file and the key at fault.
    """
    path = feed_path(settings)
    if not path.exists():
        raise FeedError(f"{path} does not exist: import a log (feed import MAPPING) or run make demo first")
    try:
        return Feed.model_validate(tomllib.loads(path.read_text()))
    except tomllib.TOMLDecodeError as error:
        raise FeedError(f"{path} is not valid TOML: {error}") from error
    except ValidationError as error:
        raise FeedError(f"{path}: {first_mistake(error)}") from error


def first_mistake(error: ValidationError) -> str:
    """The first thing that is wrong, after the key that it stands at."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def find_feed(settings: Settings) -> Feed | None:
    """As `load_feed`; None before the first import."""
    return load_feed(settings) if feed_path(settings).exists() else None


def save_feed(settings: Settings, feed: Feed) -> None:
    """Write `feed.toml` atomically."""
    path = feed_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, tomlkit.dumps(feed.model_dump(mode="json", exclude_none=True)))


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step: a reader sees the old text or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    os.replace(draft, path)
