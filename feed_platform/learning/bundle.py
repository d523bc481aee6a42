"""A model as files: JSON and UBJSON in a folder named by its content, no pickle."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import numpy as np

from feed_platform.features.catalogue import entity_of
from feed_platform.feed import FeedError
from feed_platform.learning import calibration
from feed_platform.learning.calibration import Calibration, Vector
from feed_platform.learning.scorers import KINDS, Boosted, Matrix, Scorer

FORMAT = 1
MANIFEST = "manifest.json"
TOLERANCE = 1e-5
FEWEST_FIRST = ("user", "topic", "user_topic", "author", "user_author", "post")  # distinct ones in a request


def code_version() -> str:
    """The release and a hash of the code that makes features and models."""
    package = Path(__file__).parents[1]
    sources = sorted(path for part in ("features", "learning") for path in (package / part).glob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    return f"{package_version('feed-platform')}+{digest.hexdigest()[:12]}"


@dataclass(frozen=True)
class Head:
    """One objective: what it predicts, what one is worth, and how."""

    event: str
    weight: float
    scorer: Scorer
    calibration: Calibration

    @property
    def file(self) -> str:
        """Name of the model's file."""
        return f"{self.event}{self.scorer.suffix}"

    def probability(self, matrix: Matrix) -> Vector:
        """Calibrated probabilities, shape (n,)."""
        return self.calibration.apply(self.scorer.raw(matrix))

    def quickened(self, rows: Matrix, groups: Sequence[Sequence[int]]) -> "Head":
        """As `Bundle.quickened`."""
        if not isinstance(self.scorer, Boosted):
            return self
        return replace(self, scorer=self.scorer.quickened(rows, groups))


@dataclass(frozen=True)
class Bundle:
    """A model with all that is needed to use it and to prove that it works.

    `features` are the matrix's columns in order (float32, missing is NaN); `reference` holds
    facts of the training data such as `click_rate`; `rows` are a few feature rows whose
    `answers` are recorded. Made by `build` or `load`.
    """

    kind: str
    features: tuple[str, ...]
    heads: tuple[Head, ...]
    lake_version: int
    reference: Mapping[str, float]
    rows: Matrix
    code_version: str = field(default_factory=code_version)
    answers: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @cached_property
    def version(self) -> str:
        """SHA-256 of the manifest, which holds those of the other files: the folder's name."""
        return _sha256(self.files[MANIFEST])

    @property
    def objectives(self) -> dict[str, float]:
        """Event to weight, in order."""
        return {head.event: head.weight for head in self.heads}

    def probabilities(self, matrix: Matrix) -> dict[str, Vector]:
        """Calibrated probability of each objective, each of shape (n,).

        Args:
            matrix: float32, (n, features) in the order of `features`; missing is NaN.

        Raises:
            FeedError: the matrix has another number of columns.
        """
        if matrix.ndim != 2 or matrix.shape[1] != len(self.features):
            raise FeedError(
                f"the {self.kind} model wants {len(self.features)} features, got a matrix of {matrix.shape}"
            )
        return {head.event: head.probability(matrix) for head in self.heads}

    def score(self, probabilities: Mapping[str, Vector]) -> Vector:
        """The ranking score: the objectives' probabilities, weighted and summed, shape (n,)."""
        first, *others = (head.weight * probabilities[head.event] for head in self.heads)
        return sum(others, first)

    def quickened(self) -> "Bundle":
        """This bundle for a server: boosters predict as `quick_predict` says."""
        owners = [entity_of(name) for name in self.features]
        groups = [[place for place, owner in enumerate(owners) if owner == one] for one in FEWEST_FIRST]
        return replace(self, heads=tuple(head.quickened(self.rows, groups) for head in self.heads))

    def self_test(self) -> None:
        """Recompute the recorded answers.

        Raises:
            FeedError: an answer differs, so the files or the libraries aren't those of the training.
        """
        for event, got in self.probabilities(self.rows).items():
            if not np.allclose(got, self.answers[event], rtol=TOLERANCE, atol=TOLERANCE):
                raise FeedError(f"model {self.version[:12]} fails its self-test for {event}: train again")

    def save(self, parent: Path) -> str:
        """Write the bundle to `parent/<version>` in one step; nothing to do where it exists.

        Returns:
            The version, SHA-256 of the content.
        """
        folder = parent / self.version
        if not folder.exists():
            draft = parent / f".{self.version}.{os.getpid()}"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            for name, data in self.files.items():
                (draft / name).write_bytes(data)
            _move(draft, folder)
        return self.version

    @classmethod
    def build(cls, **fields: Any) -> "Bundle":
        """A bundle, of all fields but the last three, whose answers to its own `rows` are recorded.

        Raises:
            FeedError: an answer isn't finite, or an event's name can't name a file.
        """
        draft = cls(**fields)
        answers = {event: tuple(map(float, p)) for event, p in _first_answers(draft).items()}
        models = {head.file: head.scorer.dumps() for head in draft.heads}
        manifest = _manifest(draft, models, answers)
        return cls(**{**fields, "answers": answers, "files": {**models, MANIFEST: manifest}})

    @classmethod
    def load(cls, folder: Path) -> "Bundle":
        """Read a bundle and verify it against its folder's name.

        Raises:
            FeedError: a file is missing or isn't what its hash says, or the format is newer.
        """
        manifest = _read(folder / MANIFEST, folder.name)
        data = json.loads(manifest)
        if data["format"] != FORMAT:
            raise FeedError(f"{folder}: bundle format {data['format']}, this release reads {FORMAT}: upgrade")
        models = {head["file"]: _read(folder / head["file"], head["sha256"]) for head in data["objectives"]}
        return cls(
            kind=data["kind"],
            features=tuple(feature["name"] for feature in data["features"]),
            heads=tuple(_load_head(head, models[head["file"]]) for head in data["objectives"]),
            lake_version=data["lake_version"],
            reference=data["reference"],
            rows=_matrix(data["self_test"]["rows"], len(data["features"])),
            code_version=data["code_version"],
            answers={event: tuple(answers) for event, answers in data["self_test"]["answers"].items()},
            files={**models, MANIFEST: manifest},
        )


def _first_answers(draft: Bundle) -> dict[str, Vector]:
    for head in draft.heads:
        if not re.fullmatch(r"[A-Za-z0-9_]+", head.event):
            raise FeedError(f"objective {head.event!r} must be letters, digits and _: change feed.toml")
        if not np.isfinite(head.scorer.raw(draft.rows)).all():
            raise FeedError(f"the {draft.kind} model for {head.event} gives scores that are not finite")
    return draft.probabilities(draft.rows)


def _manifest(draft: Bundle, models: Mapping[str, bytes], answers: Mapping[str, tuple[float, ...]]) -> bytes:
    rows = [[None if np.isnan(cell) else float(cell) for cell in row] for row in draft.rows]
    manifest = {
        "format": FORMAT,
        "kind": draft.kind,
        "features": [{"name": name, "dtype": "float32"} for name in draft.features],
        "objectives": [_describe(head, models[head.file]) for head in draft.heads],
        "lake_version": draft.lake_version,
        "code_version": draft.code_version,
        "reference": dict(draft.reference),
        "self_test": {"rows": rows, "answers": answers},
    }
    return json.dumps(manifest, indent=1, allow_nan=False).encode()


def _describe(head: Head, data: bytes) -> dict[str, Any]:
    return {
        "event": head.event,
        "weight": head.weight,
        "kind": head.scorer.kind,
        "file": head.file,
        "sha256": _sha256(data),
        "calibration": head.calibration.as_json(),
    }


def _load_head(data: dict[str, Any], model: bytes) -> Head:
    scorer = KINDS[data["kind"]].loads(model)
    return Head(data["event"], data["weight"], scorer, calibration.from_json(data["calibration"]))


def _matrix(rows: list[list[float | None]], width: int) -> Matrix:
    return np.array(rows, dtype=np.float32).reshape(len(rows), width)


def _read(path: Path, sha256: str) -> bytes:
    if not path.is_file():
        raise FeedError(f"{path} is missing: export the model again")
    data = path.read_bytes()
    if _sha256(data) != sha256:
        raise FeedError(f"{path} is not the file that its hash names: delete its folder, export again")
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _move(draft: Path, folder: Path) -> None:
    try:
        os.replace(draft, folder)
    except OSError:
        if not folder.exists():
            raise
        shutil.rmtree(draft)
