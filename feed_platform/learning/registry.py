"""The model registry: versions of `feed-ranker` in MLflow, their aliases and their bundles."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from feed_platform.feed import FeedError
from feed_platform.learning.bundle import Bundle
from feed_platform.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as Entry

MODEL = "feed-ranker"
BUNDLES = "bundles"
BEFORE = "champion_before"
Alias = Literal["champion", "challenger", "approved"]


@dataclass(frozen=True)
class ModelVersion:
    """A registered model: its number, the MLflow run that made it, its kind, its bundle's hash."""

    version: str
    run_id: str
    kind: str
    bundle: str
    source: str


def client(settings: Settings) -> "MlflowClient":
    """MLflow's client on the home's tracking store and registry."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=settings.tracking_uri, registry_uri=settings.tracking_uri)


def champion(settings: Settings) -> ModelVersion | None:
    """The version that is to serve; None before the first training."""
    return with_alias(settings, "champion")


def with_alias(settings: Settings, alias: Alias) -> ModelVersion | None:
    """The version that carries an alias, or None."""
    if not _has_registry(settings):
        return None
    from mlflow.exceptions import MlflowException

    try:
        return _version(client(settings).get_model_version_by_alias(MODEL, alias))
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def versions(settings: Settings) -> list[ModelVersion]:
    """All registered versions, newest first."""
    if not _has_registry(settings):
        return []
    found = client(settings).search_model_versions(f"name = '{MODEL}'")
    return sorted(map(_version, found), key=lambda known: -int(known.version))


def get_version(settings: Settings, version: str) -> ModelVersion:
    """One registered version.

    Raises:
        FeedError: there is none with this number; names those that are.
    """
    known = {entry.version: entry for entry in versions(settings)}
    if version not in known:
        raise FeedError(f"no model version {version}: there are {', '.join(sorted(known)) or 'none'}")
    return known[version]


def set_champion(settings: Settings, version: str) -> None:
    """Make a registered version the champion.

    Raises:
        FeedError: there is no such version.
    """
    set_alias(settings, "champion", get_version(settings, version))


def set_alias(settings: Settings, alias: Alias, chosen: ModelVersion | None) -> None:
    """Move an alias to a version, or with None take it off; a new champion keeps the number of the last."""
    if chosen is not None:
        last = with_alias(settings, alias) if alias == "champion" else None
        if last is not None and last != chosen:
            tag_version(settings, chosen.version, {BEFORE: last.version})
        client(settings).set_registered_model_alias(MODEL, alias, chosen.version)
    elif with_alias(settings, alias) is not None:
        client(settings).delete_registered_model_alias(MODEL, alias)


def champion_before(settings: Settings, version: ModelVersion) -> ModelVersion | None:
    """The champion that a version took over from; None for the first, or one that never was champion."""
    number = version_tags(settings, version.version).get(BEFORE)
    return next((known for known in versions(settings) if known.version == number), None)


def tag_version(settings: Settings, version: str, tags: Mapping[str, str]) -> None:
    """Set tags of a registered version."""
    registry = client(settings)
    for name, value in tags.items():
        registry.set_model_version_tag(MODEL, version, name, value)


def version_tags(settings: Settings, version: str) -> dict[str, str]:
    """The tags of a registered version."""
    return dict(client(settings).get_model_version(MODEL, version).tags)


def register(settings: Settings, run_id: str, bundle: Bundle) -> ModelVersion:
    """Register a bundle that lies among the run's artifacts; a bundle has one version for ever."""
    for known in versions(settings):
        if known.bundle == bundle.version:
            return known
    registry = client(settings)
    if not registry.search_registered_models(f"name = '{MODEL}'"):
        registry.create_registered_model(MODEL)
    source = f"{registry.get_run(run_id).info.artifact_uri}/{BUNDLES}/{bundle.version}"
    tags = {"bundle": bundle.version, "kind": bundle.kind, "lake_version": str(bundle.lake_version)}
    return _version(registry.create_model_version(MODEL, source, run_id=run_id, tags=tags))


def load_bundle(version: ModelVersion, sha256: str | None = None) -> Bundle:
    """The version's bundle, or another of the same training, verified against its hash."""
    from mlflow.artifacts import download_artifacts

    source = f"{version.source.rpartition('/')[0]}/{sha256 or version.bundle}"
    return Bundle.load(Path(download_artifacts(artifact_uri=source)))


def export_bundle(settings: Settings, version: str) -> Path:
    """Put a version's bundle where serving finds it: `models/<sha256>`, in one step.

    Raises:
        FeedError: there is no such version, or its files aren't what its hash says.
    """
    bundle = load_bundle(get_version(settings, version))
    return settings.models / bundle.save(settings.models)


def _has_registry(settings: Settings) -> bool:
    return os.path.exists(settings.tracking_uri.removeprefix("sqlite:///"))


def _version(entry: "Entry") -> ModelVersion:
    return ModelVersion(
        version=str(entry.version),
        run_id=str(entry.run_id),
        kind=entry.tags["kind"],
        bundle=entry.tags["bundle"],
        source=str(entry.source),
    )
