"""Error analyses as rows of the lake (`training.error_analysis`, `training.worst_slices`) and as sections."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import polars as pl

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.errors.analyse import ErrorAnalysis
from feed_platform.evaluation.errors.categories import advice, sentence
from feed_platform.evaluation.pages import Section, section
from feed_platform.lake import Lake
from feed_platform.learning.registry import ModelVersion

ANALYSIS, WORST = "training.error_analysis", "training.worst_slices"
_COMMON = "model_version VARCHAR, event VARCHAR"
_PROVENANCE = "lake_version BIGINT, evaluated_at TIMESTAMP"
COLUMNS = {
    ANALYSIS: f"""{_COMMON}, study VARCHAR, item VARCHAR, metric VARCHAR, value DOUBLE, low DOUBLE,
                  high DOUBLE, n BIGINT, reference VARCHAR, {_PROVENANCE}""",
    WORST: f"""{_COMMON}, slice VARCHAR, condition VARCHAR, declared BOOLEAN, rows BIGINT, predicted DOUBLE,
               observed DOUBLE, log_loss DOUBLE, floor DOUBLE, saved DOUBLE, saved_low DOUBLE,
               saved_high DOUBLE, n BIGINT, chance DOUBLE, {_PROVENANCE}""",
}
CATEGORY_METRICS = ("share", "density", "headroom", "gain", "saved")
CONSISTENCY_METRICS = ("disagreement", "irreducible", "model", "log_loss_floor")


def error_sections(found: list[ErrorAnalysis]) -> list[Section]:
    """The report's sections, one for each objective."""
    return [
        section(
            f"errors-{part.event}",
            f"Where it errs: {part.event}",
            "errors.html",
            found=part,
            sentence=sentence,
            advice=advice,
        )
        for part in found
    ]


def work_list(found: list[ErrorAnalysis]) -> list[str]:
    """What to work on next, a sentence for each tag that clearly stands out, by objective."""
    return [
        f"{part.event}: {sentence(one, part.categories.reference)}"
        for part in found
        for one in part.categories.next
    ]


def worst_slices(found: list[ErrorAnalysis]) -> list[str]:
    """The confirmed slices in words, by objective."""
    return [f"{part.event}: {one.sentence}" for part in found for one in part.search.confirmed]


def save_errors(lake: Lake, version: ModelVersion, found: list[ErrorAnalysis]) -> int:
    """Replace the version's rows of both tables; returns how many there are."""
    at = {"model_version": version.version, "evaluated_at": datetime.now(UTC).replace(tzinfo=None)}
    tables = {
        ANALYSIS: [{**row, **at} for part in found for row in _analysis_rows(part)],
        WORST: [{**row, **at} for part in found for row in _slice_rows(part)],
    }
    with lake.write(f"errors of model {version.version}", {"model_version": version.version}) as con:
        for table, rows in tables.items():
            con.execute(f"create table if not exists {table} ({COLUMNS[table]})")
            con.execute(f"delete from {table} where model_version = ?", [version.version])
            if rows:
                numbers = pl.DataFrame(rows, infer_schema_length=None).with_columns(
                    pl.selectors.float().fill_nan(None)
                )
                con.register("numbers", numbers.to_arrow())
                con.execute(f"insert into {table} by name from numbers")
    return sum(map(len, tables.values()))


def _analysis_rows(found: ErrorAnalysis) -> Iterator[dict[str, Any]]:
    reference = found.categories.reference
    for one in found.categories.found:
        measures = {name: getattr(one, name) for name in CATEGORY_METRICS}
        yield from _measures(found, "tag", one.tag.name, measures, reference)
    for twins in found.consistency:
        measures = {name: getattr(twins, name) for name in CONSISTENCY_METRICS}
        yield from _measures(found, "label consistency", twins.name, measures, None)


def _measures(
    found: ErrorAnalysis, study: str, item: str, measures: dict[str, Measure | None], reference: str | None
) -> Iterator[dict[str, Any]]:
    facts = {"event": found.event, "study": study, "item": item, "lake_version": found.lake_version}
    for metric, measure in measures.items():
        if measure is not None:
            yield {**facts, "metric": metric, **vars(measure), "reference": reference}


def _slice_rows(found: ErrorAnalysis) -> Iterator[dict[str, Any]]:
    common = {"event": found.event, "lake_version": found.lake_version}
    for one in found.declared:
        yield {
            **common,
            "slice": one.floor.name,
            "condition": one.floor.where,
            "declared": True,
            "rows": one.rows,
            "predicted": one.predicted,
            "observed": one.observed,
            "log_loss": one.loss.value if one.loss else None,
            "floor": one.floor.floor,
            "n": one.rows,
        }
    for worst in found.search.confirmed:
        yield {
            **common,
            "slice": worst.words,
            "condition": worst.where,
            "declared": False,
            "rows": worst.rows,
            "predicted": worst.predicted,
            "observed": worst.observed,
            "log_loss": worst.loss,
            "saved": worst.saved.value,
            "saved_low": worst.saved.low,
            "saved_high": worst.saved.high,
            "n": worst.saved.n,
            "chance": worst.chance,
        }
