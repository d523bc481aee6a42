"""Homes in which models are judged."""

from feed_platform.features.catalogue import GROUPS, stored_names
from feed_platform.feed import Feed, Promotion, save_feed
from feed_platform.lake import Lake
from feed_platform.learning import registry, tracking
from feed_platform.learning.registry import ModelVersion
from feed_platform.settings import Settings
from feed_platform_tests.learning.synthetic import FEED, fill_lake, synthetic_frame
from feed_platform_tests.serving import samples

FACTS = {
    "impression_id": "varchar",
    "user_id": "varchar",
    "post_id": "varchar",
    "position": "integer",
    "context": "json",
    "known_day": "date",
    **dict.fromkeys(("shown_at", "as_of", "attributes_at", "decided_at"), "timestamp"),
}


def feed_in(mode: str) -> Feed:
    """The synthetic log's feed, with a mode of promotion."""
    return FEED.model_copy(update={"promotion": Promotion(mode=mode)})  # type: ignore[arg-type]


def fill(settings: Settings, feed: Feed, rows: int = 7_000, rate: float = -1.5) -> None:
    """Examples, feed.toml and a features table without rows: nothing to recompute."""
    fill_lake(settings, synthetic_frame(rows, rate=rate))
    save_feed(settings, feed)
    stored = {name: "float" for group in GROUPS for name in stored_names(group, feed)}
    columns = ", ".join(f'"{name}" {kind}' for name, kind in {**FACTS, **stored}.items())
    with Lake.of(settings).write("features") as con:
        con.execute(f"create table marts.impression_features ({columns})")


def registered(settings: Settings, seed: int) -> ModelVersion:
    """A version with random weights, among a run's artifacts as training leaves it."""
    bundle, client = samples.make_bundle(seed), registry.client(settings)
    tracking._ensure_experiment(settings)
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    run_id = client.create_run(experiment.experiment_id).info.run_id
    folder = settings.models / bundle.save(settings.models)
    client.log_artifacts(run_id, str(folder), f"{registry.BUNDLES}/{bundle.version}")
    return registry.register(settings, run_id, bundle)
