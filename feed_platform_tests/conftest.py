"""Fixtures that every package's tests share."""

from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from feed_platform.home import prepare_home
from feed_platform.settings import Settings

# The same examples at every run, however busy the machine is.
hypothesis_settings.register_profile("steady", deadline=None, derandomize=True, database=None)
hypothesis_settings.load_profile("steady")


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
