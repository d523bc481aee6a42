"""The settings that replicas run with: a file only its owner reads, so no secret is in Ray's config."""

import hashlib
import json
import os
from pathlib import Path

from feed_platform.feed import feed_path
from feed_platform.settings import Settings

NAME = "replica.json"
DEPLOYMENT = "Ranker"  # the replicas' name in Serve
PARTS = ("features", "learning", "serving")  # whose code runs in a replica


def save(settings: Settings) -> str:
    """Write the settings for the replicas; their revision, which changes with them, feed.toml or the code."""
    values = settings.model_dump(mode="json") | {"home": str(settings.root)}
    values["api_token"] = settings.api_token.get_secret_value() if settings.api_token else None
    text = json.dumps(values, sort_keys=True)
    draft = settings.serving / f".{NAME}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    os.replace(draft, settings.serving / NAME)
    return hashlib.sha256(text.encode() + feed_path(settings).read_bytes() + _code()).hexdigest()[:16]


def load(home: Path) -> Settings:
    """What `save` wrote for a home."""
    return Settings.model_validate_json((home / "serving" / NAME).read_text())


def _code() -> bytes:
    package = Path(__file__).parents[1]
    sources = sorted(path for part in PARTS for path in (package / part).rglob("*.[ph][yt]*"))
    return b"".join(path.read_bytes() for path in sources)
