"""The Dagster resource that hands a feed's home to assets, checks and sensors."""

import dagster as dg

from feed_platform.feed import Feed, load_feed
from feed_platform.lake import Lake
from feed_platform.settings import Settings


class Home(dg.ConfigurableResource):
    """The home that `FEED_HOME` names, read anew at each use."""

    @property
    def settings(self) -> Settings:
        """The `FEED_*` settings."""
        return Settings()

    @property
    def lake(self) -> Lake:
        """The home's lake."""
        return Lake.of(self.settings)

    @property
    def feed(self) -> Feed:
        """The home's `feed.toml`."""
        return load_feed(self.settings)


class NoPickle(dg.IOManager):
    """Refuses to store outputs: assets write to the lake. Dagster's default would pickle them."""

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Accept only `None`, what an asset that wrote to the lake returns."""
        if obj is not None:
            raise TypeError(f"{context.asset_key.to_user_string()} returned a value: write it to the lake")

    def load_input(self, context: dg.InputContext) -> None:
        """Nothing is handed over in memory: read the lake."""


RESOURCES = {"home": Home(), "io_manager": NoPickle()}
