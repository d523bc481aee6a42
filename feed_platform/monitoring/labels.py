"""How often people did what the model predicts: recently, and in the rows that it was fitted to."""

import duckdb

from feed_platform.feed import Feed
from feed_platform.monitoring.comparison import Finding
from feed_platform.monitoring.windows import (
    BEGINNING,
    EXAMPLES,
    LABELLED,
    NEEDED_ROWS,
    Reference,
    newest_days,
)

LEAST_CHANGE = 0.2
STANDARD_ERRORS = 3.0

FITTED = "shown_at >= $start and shown_at < $end"
SINCE = "shown_at >= $trained_until and matured_day >= $start and matured_day < $end"

Counts = tuple[int, int]


def compare_labels(
    con: duckdb.DuckDBPyConnection, feed: Feed, reference: Reference
) -> tuple[list[Finding], list[str]]:
    """The objectives' rates on the newest matured days against the reference's.

    Returns:
        A finding for each objective, and a note for each that has too few rows for one.
    """
    trained_until = reference.window.end
    days = newest_days(con, LABELLED, BEGINNING, trained_until=trained_until)
    if days is None:
        return [], ["Labels are not compared: none has matured since the training."]
    findings, notes = [], []
    for event in (objective.event for objective in feed.objectives):
        before = _counts(con, event, FITTED, vars(reference.window))
        after = _counts(con, event, SINCE, {**vars(days), "trained_until": trained_until})
        if before[0] and after[1] >= NEEDED_ROWS:
            findings.append(compare_rates(f"label_{event}", after, before))
        else:
            notes.append(
                f"label_{event} is not compared: {before[0]} in the reference, {after[1]} rows have "
                f"matured since and {NEEDED_ROWS} are needed."
            )
    return findings, notes


def compare_rates(column: str, current: Counts, reference: Counts) -> Finding:
    """The relative change of a rate; both sides are (positives, rows), the reference's positives not 0.

    The threshold is a fifth, or three standard errors where the rows are too few to see that.

    Example:
        >>> compare_rates("label_click", (150, 1_000), (1_000, 10_000)).is_drifted
        True
        >>> compare_rates("label_click", (6, 40), (1_000, 10_000)).is_drifted
        False
    """
    before, after = reference[0] / reference[1], current[0] / current[1]
    pooled = (current[0] + reference[0]) / (current[1] + reference[1])
    error = (pooled * (1 - pooled) * (1 / current[1] + 1 / reference[1])) ** 0.5
    threshold = max(LEAST_CHANGE, STANDARD_ERRORS * error / before)
    return Finding("label", column, "relative change of the rate", abs(after / before - 1), threshold)


def _counts(con: duckdb.DuckDBPyConnection, event: str, condition: str, values: dict[str, object]) -> Counts:
    row = con.execute(
        f"select coalesce(sum(label_{event}), 0), count(*) from {EXAMPLES} where {condition}", values
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])
