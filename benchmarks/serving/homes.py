"""What benchmarks of a service of their own share: their options, a filled home, the service on it."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feed_platform.home import prepare_home
from feed_platform.serving import service
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples


def numbers(description: str | None, **defaults: int) -> argparse.Namespace:
    """A whole number for each name, from the command line."""
    parser = argparse.ArgumentParser(description=description)
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


@contextmanager
def filled(port: int, replicas: int) -> Iterator[Settings]:
    """A home with a model and a snapshot of 20 people, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        settings = Settings(home=Path(folder), http_port=port, replicas=replicas)
        prepare_home(settings)
        samples.fill(settings)
        yield settings


@contextmanager
def running(settings: Settings) -> Iterator[int]:
    """The home's service while the block runs; its port."""
    service.start(settings, print)
    try:
        assert settings.http_port is not None
        yield settings.http_port
    finally:
        service.stop(settings)
