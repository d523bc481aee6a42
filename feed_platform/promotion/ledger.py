"""`training.promotions`: every verdict and every decision about a model, kept for ever."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import duckdb

from feed_platform.lake import Lake
from feed_platform.lake.tables import has_table

TABLE = "training.promotions"
Event = Literal["verdict", "approved", "rejected", "stand-in", "rolled back"]
SAME = "event = 'verdict' and model_version = $model_version and champion is not distinct from $champion"


@dataclass(frozen=True)
class Entry:
    """One line of the ledger; `verdict` and what follows it only where `event` is a verdict."""

    event: Event
    model_version: str
    kind: str
    champion: str | None
    mode: str
    reason: str
    decided_at: datetime
    claim: str | None = None
    verdict: str | None = None
    attempt: int | None = None
    test_from: datetime | None = None
    test_until: datetime | None = None
    lake_version: int | None = None
    evidence: str | None = None


def write(lake: Lake, entry: Entry) -> None:
    """Add a line; the same comparison judged again replaces its line, since nothing else was tried."""
    values = vars(entry)
    names = ", ".join(values)
    places = ", ".join(f"${name}" for name in values)
    with lake.write(f"promotion: {entry.event} {entry.model_version}") as con:
        if entry.event == "verdict":
            same = {name: values[name] for name in ("model_version", "champion", "test_from")}
            con.execute(f"delete from {TABLE} where {SAME} and test_from = $test_from", same)
        con.execute(f"insert into {TABLE} ({names}) values ({places})", values)


def attempt_number(lake: Lake, version: str, window: tuple[datetime, datetime]) -> int:
    """Which of the candidates judged on overlapping test days this is, counted from 1."""
    with lake.read() as con:
        if not has_table(con, TABLE):
            return 1
        row = con.execute(
            f"""select count(distinct model_version) from {TABLE} where event = 'verdict'
                and model_version <> $version and test_from < $until and test_until > $from""",
            {"version": version, "from": window[0], "until": window[1]},
        ).fetchone()
    return 1 + (int(row[0]) if row else 0)


def last(con: duckdb.DuckDBPyConnection, version: str | None = None, *events: Event) -> dict[str, Any] | None:
    """The newest line, of one version and of some events where they are named, without its evidence."""
    if not has_table(con, TABLE):
        return None
    found = con.execute(
        f"""select * exclude evidence from {TABLE}
            where ($version is null or model_version = $version) and (len($events) = 0 or event in $events)
            order by decided_at desc limit 1""",
        {"version": version, "events": list(events)},
    )
    names = [column[0] for column in found.description or []]
    row = found.fetchone()
    return dict(zip(names, row, strict=True)) if row else None


def waiting(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Versions that passed in mode `approval` and that nobody has decided on, newest first."""
    if not has_table(con, TABLE):
        return []
    rows = con.execute(
        f"""select model_version from {TABLE} group by model_version
            having max_by(event, decided_at) = 'verdict' and max_by(verdict, decided_at) = 'pass'
                and max_by(mode, decided_at) = 'approval'
            order by max(decided_at) desc"""
    ).fetchall()
    return [str(row[0]) for row in rows]
