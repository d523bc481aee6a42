"""Off-policy answers as rows of `training.off_policy`."""

from datetime import UTC, datetime
from math import isfinite
from typing import Any

import polars as pl

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.off_policy.answer import Answer, Worth
from feed_platform.feed import FeedError
from feed_platform.lake import Lake
from feed_platform.lake.tables import has_table
from feed_platform.learning.registry import ModelVersion

TABLE = "training.off_policy"
COLUMNS = """model_version VARCHAR, target VARCHAR, metric VARCHAR, value DOUBLE, low DOUBLE, high DOUBLE,
             n BIGINT, verdict VARCHAR, sentence VARCHAR, evaluated_at TIMESTAMP"""

VERDICTS = f"""
with answers as (select distinct model_version, target, verdict, sentence from {TABLE})
select model_version, verdict, sentence from answers
order by try_cast(model_version as integer), target
"""


def save_answers(lake: Lake, version: ModelVersion, answers: list[Answer]) -> int:
    """Replace the version's rows; returns how many there are.

    An answer without numbers is one row whose metric and value are null.
    """
    rows = [row for found in answers for row in _rows(version, found)]
    numbers = pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.col("value", "low", "high").cast(pl.Float64).fill_nan(None), pl.col("metric").cast(pl.String)
    )
    with lake.write(
        f"off-policy values of model {version.version}", {"model_version": version.version}
    ) as con:
        con.execute(f"create table if not exists {TABLE} ({COLUMNS})")
        con.execute(f"delete from {TABLE} where model_version = ?", [version.version])
        con.register("numbers", numbers.to_arrow())
        con.execute(f"insert into {TABLE} by name from numbers")
    return len(numbers)


def saved_verdicts(lake: Lake) -> list[str]:
    """A line for each version's answers in the lake.

    Raises:
        FeedError: no version has been evaluated.
    """
    with lake.read() as con:
        rows = con.execute(VERDICTS).fetchall() if has_table(con, TABLE) else []
    if not rows:
        raise FeedError("no model has been evaluated yet: run dagster job execute -j train")
    return [f"model {version}, {word}: {sentence}" for version, word, sentence in rows]


def _rows(version: ModelVersion, found: Answer) -> list[dict[str, Any]]:
    about = {
        "model_version": version.version,
        "target": found.subject.target + found.subject.where,
        "verdict": found.verdict.word,
        "sentence": found.verdict.sentence,
        "evaluated_at": datetime.now(UTC).replace(tzinfo=None),
    }
    nothing = {"metric": None, "value": None, "low": None, "high": None, "n": None}
    if found.worth is None:
        return [about | nothing]
    numbers = {metric: vars(measure) for metric, measure in _measures(found.worth).items()}
    return [about | {"metric": metric} | measure for metric, measure in numbers.items()]


def _measures(worth: Worth) -> dict[str, Measure]:
    named = {name.replace(" ", "_"): measure for name, measure in worth.estimates.items()}
    plain = {
        "effective_sample": worth.weights.effective_sample,
        "effective_rewards": worth.weights.effective_rewards,
        "mean_weight": worth.weights.mean_weight,
        "largest_weight": worth.weights.largest_weight,
        "zero_share": worth.weights.zero_share,
        "clipped_share": worth.clipping.cut,
        "clipping_bias_bound": worth.clipping.bound,
        "clipping_bias_expected": worth.clipping.expected,
    }
    if worth.calibration is not None:
        plain["inverse_propensity_ratio"] = worth.calibration.found / worth.calibration.expected
    nan, n = float("nan"), worth.weights.requests
    alone = {name: Measure(value, nan, nan, n) for name, value in plain.items() if isfinite(value)}
    return {"observed": worth.observed, **named, "gain": worth.gain, **alone}
