"""Fixtures of the tests that train."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from feed_platform.home import prepare_home
from feed_platform.learning.registry import client
from feed_platform.settings import Settings

NewHome = Callable[[], Settings]


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow store, its tables created once."""
    settings = Settings(home=tmp_path_factory.mktemp("store"))
    prepare_home(settings)
    client(settings).search_experiments()
    return settings.root / "mlflow" / "mlflow.db"


@pytest.fixture(scope="module")
def new_home(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> NewHome:
    """Makes prepared homes, which may live as long as a module's tests."""

    def make() -> Settings:
        settings = Settings(home=tmp_path_factory.mktemp("home"))
        prepare_home(settings)
        shutil.copy(migrated_store, settings.root / "mlflow" / "mlflow.db")
        return settings

    return make


@pytest.fixture
def home(new_home: NewHome, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A fresh home that `FEED_HOME` names."""
    settings = new_home()
    monkeypatch.setenv("FEED_HOME", str(settings.root))
    return settings
