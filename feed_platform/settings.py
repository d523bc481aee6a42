"""Every `FEED_*` setting, its default and its meaning."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Settings(BaseSettings):
    """Where and how one feed runs. What the feed *is* stands in its `feed.toml`."""

    model_config = SettingsConfigDict(env_prefix="FEED_", env_ignore_empty=True, frozen=True)

    home: Path = Field(Path(".feed"), description="The feed's folder: lake, registry, snapshots, logs.")
    lake_catalog: str | None = Field(None, description="DuckLake catalog; default: SQLite in the home.")
    lake_data: str | None = Field(
        None, description="Where the lake's Parquet files lie; default: in the home."
    )
    memory_limit: str = Field("4GB", description="DuckDB's memory limit per process.")
    http_host: str = Field("127.0.0.1", description="Address that the ranking service listens on.")
    http_port: int | None = Field(
        None,
        ge=1024,
        le=65435,
        description="Base of the home's 100 ports; default: the one that the home remembers, else 8000.",
    )
    api_token: SecretStr | None = Field(
        None, description="Bearer token of the HTTP API; needed off loopback."
    )
    ingress: Literal["haproxy", "proxy"] = Field("haproxy", description="Ray Serve's ingress.")
    replicas: int = Field(1, ge=1, le=16, description="Replicas of the ranking service.")
    deadline_ms: int = Field(
        1_000, ge=1, le=60_000, description="What an answer may take: slow models give way to cheaper tiers."
    )
    impressions: Literal["reported", "served"] = Field(
        "reported",
        description="`served` counts the first `limit` items of an answer as shown.",
    )

    @model_validator(mode="after")
    def _refuse_open_bind(self) -> "Settings":
        if self.http_host not in LOOPBACK and self.api_token is None:
            raise ValueError(
                f"FEED_HTTP_HOST={self.http_host} is reachable from other machines: set FEED_API_TOKEN too"
            )
        return self

    @property
    def root(self) -> Path:
        """The home as an absolute path."""
        return self.home.expanduser().absolute()

    @property
    def catalog(self) -> str:
        """DuckLake's catalog: a SQLite path or a `postgres://` address."""
        return self.lake_catalog or str(self.root / "lake" / "catalog.sqlite")

    @property
    def data(self) -> str:
        """Where the lake's Parquet files lie."""
        return self.lake_data or str(self.root / "lake" / "data")

    @property
    def tracking_uri(self) -> str:
        """MLflow's tracking store and registry."""
        return f"sqlite:///{self.root / 'mlflow' / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """MLflow's artifacts."""
        return self.root / "mlflow" / "artifacts"

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance folder."""
        return self.root / "dagster"

    @property
    def logs(self) -> Path:
        """Log segments that the ranking service writes and the import reads."""
        return self.root / "logs"

    @property
    def online(self) -> Path:
        """Online feature snapshots and their pointer."""
        return self.root / "online"

    @property
    def models(self) -> Path:
        """Model bundles, by content hash."""
        return self.root / "models"

    @property
    def serving(self) -> Path:
        """Run state of the ranking service: pointer, process ids, Ray's files."""
        return self.root / "serving"

    @property
    def reports(self) -> Path:
        """HTML reports."""
        return self.root / "reports"
