"""The columns of `monitoring.drift`, described."""

from collections.abc import Iterator

from feed_platform.lake.contract import TABLES
from feed_platform.lake.profile import Column
from feed_platform.monitoring.records import TABLE, WHOLE

MEANINGS = {
    "report_id": "The report.",
    "window_start": "First instant of the current data.",
    "window_end": "Instant after the current data.",
    "kind": f"What the column is; {WHOLE}: the whole.",
    "column_name": "What was compared.",
    "method": "How; where nothing was compared, why not.",
    "value": "Distance from the reference.",
    "threshold": "The distance from which it is drift.",
    "is_drifted": "Whether it is.",
    "model_version": "The champion, whose training data is the reference.",
    "reported_at": "When.",
}


def drift_columns() -> Iterator[Column]:
    """The table's columns in their order."""
    for column in TABLES[TABLE].split(","):
        name, kind = column.split()
        yield Column(name, kind.lower(), MEANINGS[name])
