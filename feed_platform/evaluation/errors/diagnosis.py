"""Learning curve and ablation of a model version: costly, so made when asked for."""

import ast
from collections.abc import Callable
from dataclasses import dataclass

from feed_platform.evaluation.errors import ablation, learning_curve
from feed_platform.evaluation.errors.trials import Point
from feed_platform.feed import Feed, FeedError
from feed_platform.lake import Lake
from feed_platform.learning import registry
from feed_platform.learning.dataset import reload_dataset
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.record import TrainingRecord
from feed_platform.learning.registry import ModelVersion
from feed_platform.settings import Settings


@dataclass(frozen=True)
class Diagnosis:
    """One objective's points of both studies, and how many validation rows they were measured on."""

    event: str
    n: int
    curve: tuple[Point, ...]
    ablation: tuple[Point, ...]

    @property
    def sentences(self) -> tuple[str, str]:
        """Is more data worth it? Which features carry the model?"""
        return learning_curve.worth_of_data(self.curve), ablation.worth_of_groups(self.ablation)

    @classmethod
    def of(cls, event: str, points: list[Point]) -> "Diagnosis":
        """An objective's points, sorted into the studies."""
        own = [point for point in points if point.event == event]
        curve = tuple(point for point in own if point.study == learning_curve.STUDY)
        without = tuple(point for point in own if point.study == ablation.STUDY)
        return cls(event, own[0].loss.n if own else 0, curve, without)


def diagnose(
    settings: Settings, feed: Feed, version: ModelVersion, note: Callable[[str], None]
) -> list[Diagnosis]:
    """Fit the ranker again, with the version's settings and on its rows, for both studies, by objective.

    Train and validation alone are read: the test rows stay for verdicts. `note` hears when a fit begins.

    Raises:
        VersionGone: the rows of the version's training aren't there any more.
    """
    record = TrainingRecord.of(registry.client(settings), version.run_id)
    bundle = registry.load_bundle(version)
    data, config = reload_dataset(Lake.of(settings), record, bundle.features), settings_of(settings, version)
    events = list(bundle.objectives)
    points = learning_curve.learning_curve(data, events, feed, config, note)
    points += ablation.ablation(data, events, feed, config, note)
    return [Diagnosis.of(event, points) for event in events]


def settings_of(settings: Settings, version: ModelVersion) -> RankerConfig:
    """How the ranker of the version's training was fitted, from what its MLflow run keeps."""
    logged = registry.client(settings).get_run(version.run_id).data.params
    known = {name: logged[name] for name in RankerConfig.model_fields if name in logged}
    known = {"cold_share": "0", **known}  # a run that doesn't say learned no cold starts
    if "monotone" in known:
        return RankerConfig.model_validate({**known, "monotone": ast.literal_eval(known["monotone"])})
    return RankerConfig.model_validate(known)


def pick_version(settings: Settings, number: str | None) -> ModelVersion:
    """The registered version of this number; the newest where none is named.

    Raises:
        FeedError: there is no such version, or none at all.
    """
    if number is not None:
        return registry.get_version(settings, number)
    if not (known := registry.versions(settings)):
        raise FeedError("no model yet: run dagster job execute -j train")
    return known[0]
