"""Fixtures that every package's tests share."""

from pathlib import Path

import pytest

from feed_platform.home import prepare_home
from feed_platform.settings import Settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a fresh, prepared home that `FEED_HOME` names."""
    for name in ("FEED_LAKE_CATALOG", "FEED_LAKE_DATA", "FEED_API_TOKEN", "FEED_HTTP_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FEED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home" / "dagster"))
    settings = Settings()
    prepare_home(settings)
    return settings
