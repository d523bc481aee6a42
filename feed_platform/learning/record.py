"""What a training leaves in its MLflow run so that it can be evaluated and repeated."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feed_platform.learning.splits import Split

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAG = "training_record"


@dataclass(frozen=True)
class TrainingRecord:
    """Split and lake versions of the data, each kind's bundle hash and validation log loss.

    `lake_version` is the newest feature build in the data, `read_at` the lake version in which
    the training table was read.
    """

    split: Split
    lake_version: int
    read_at: int
    bundles: dict[str, str]
    losses: dict[str, float]
    notes: tuple[str, ...]

    def as_tag(self) -> str:
        """The record as the text of one MLflow tag."""
        return json.dumps({**vars(self), "split": self.split.as_json()})

    @classmethod
    def of(cls, registry: "MlflowClient", run_id: str) -> "TrainingRecord":
        """The record that a training run left."""
        data = json.loads(registry.get_run(run_id).data.tags[TAG])
        return cls(**{**data, "split": Split.from_json(data["split"]), "notes": tuple(data["notes"])})
