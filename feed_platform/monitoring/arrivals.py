"""What has arrived since the last drift report: is it time for another one?"""

import json
from dataclasses import asdict, dataclass
from datetime import date

import duckdb

from feed_platform.learning.examples import TABLE as EXAMPLES
from feed_platform.learning.examples import has_examples

ENOUGH_CANDIDATES = 1_000


@dataclass(frozen=True)
class Arrivals:
    """The newest day of `training.examples` in ISO 8601, empty without one, and the candidates logged."""

    day: str
    candidates: int

    @classmethod
    def parse(cls, cursor: str | None) -> "Arrivals":
        """Read a sensor's cursor; before the first one nothing has arrived."""
        return cls(**json.loads(cursor)) if cursor else cls("", 0)

    @property
    def cursor(self) -> str:
        """The state as a sensor's cursor."""
        return json.dumps(asdict(self))

    @property
    def key(self) -> str:
        """One name for the same state."""
        return f"{self.day or 'no day'}, {self.candidates} candidates"

    def call_for_report(self, last: "Arrivals") -> bool:
        """Whether a day has landed, or 1,000 candidates have been logged, since the last report."""
        return self.day > last.day or self.candidates >= last.candidates + ENOUGH_CANDIDATES


def arrivals(con: duckdb.DuckDBPyConnection) -> Arrivals:
    """What the lake holds now."""
    return Arrivals(_newest_day(con), _count(con))


def _newest_day(con: duckdb.DuckDBPyConnection) -> str:
    if not has_examples(con):
        return ""
    row = con.execute(f"select max(matured_day) from {EXAMPLES}").fetchone()
    newest: date | None = row[0] if row else None
    return newest.isoformat() if newest else ""


def _count(con: duckdb.DuckDBPyConnection) -> int:
    row = con.execute("select count(*) from serving.candidates").fetchone()
    return int(row[0]) if row else 0
