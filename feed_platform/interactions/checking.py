"""Rows of one table, checked in SQL: cells in the table's types, and the reason where a row is bad."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from feed_platform.feed import FeedError
from feed_platform.interactions.casting_sql import NOT_CAST, cast_sql, given_sql
from feed_platform.interactions.schemas import DEFAULTS, Column, RawTable, literal, quoted

PROVENANCE = {"_file": "VARCHAR", "_row": "BIGINT", "_in_row": "BOOLEAN", "_problem": "VARCHAR"}
SHOWN_VALUE = 80


@dataclass(frozen=True)
class Cell:
    """One column of the rows at hand: `raw` and `typed` name its cells, `source` is their DuckDB type."""

    column: Column
    source: str | None
    raw: str
    typed: str

    @property
    def cast(self) -> str:
        """SQL of the typed cell."""
        name, kind = self.column.name, self.column.kind
        value = f"null::{kind}" if self.source is None else cast_sql(quoted(name), self.source, kind)
        default = DEFAULTS.get(name)
        return value if default is None else f"coalesce({value}, {literal(default)})"

    @property
    def problems(self) -> Iterator[tuple[str, str, str | None]]:
        """What may be wrong with it, worst first: SQL of the case, what is said, SQL of the value shown."""
        typed = self.typed
        if self.source is not None and self.column.kind != "VARCHAR":
            uncast = f"{typed} is null and {given_sql(self.raw, self.source)}"
            yield uncast, NOT_CAST[self.column.kind], f"{self.raw}::varchar"
        if self.column.is_required:
            yield f"{typed} is null", "is missing", None
        for rule in self.column.rules if self.source is not None else ():
            yield f"not ({rule.holds.format(typed)})", rule.reason, shown_sql(typed, self.column.kind)

    @property
    def is_bad(self) -> str:
        """SQL of whether anything is wrong; never null."""
        return " or ".join(f"coalesce({case}, false)" for case, _, _ in self.problems)

    @property
    def reason(self) -> str:
        """SQL of what is wrong, null where nothing is."""
        cases = " ".join(f"when {case} then {self._said(what, value)}" for case, what, value in self.problems)
        return f"case {cases} end" if cases else "null"

    def _said(self, what: str, value: str | None) -> str:
        prefix = literal(f"{self.column.name}: ")
        shown = "" if value is None else f"'''' || left({value}, {SHOWN_VALUE}) || ''' ' || "
        return f"{prefix} || {shown}{literal(what)}"


def shown_sql(value: str, kind: str) -> str:
    """SQL of a typed cell as a reason shows it."""
    return f"strftime({value}, '%Y-%m-%d %H:%M:%S.%f')" if kind == "TIMESTAMP" else f"{value}::varchar"


def stored_problems(column: Column) -> dict[str, str]:
    """What may be wrong with a stored cell: the rule as `feed validate` shows it, and SQL of the case."""
    name = quoted(column.name)
    problems = Cell(column, column.kind, name, name).problems
    return {f"{column.name}: {what}": case for case, what, _ in problems}


def checked_sql(
    sql: str, types: Mapping[str, str], table: RawTable, columns: Sequence[Column], part: int, source: str
) -> str:
    """SQL that casts and checks the rows of a SELECT in one pass.

    Args:
        types: the SELECT's columns and their DuckDB types.
        part: a number of the rows' own.
        source: names the file of rows that have no `_file`.

    Returns:
        a SELECT of the table's columns in its types, `_file`, `_row` (null: the row's place in the
        result), `_in_row`, `_part`, and of bad rows `_reason` and `_record` (their cells as JSON).

    Raises:
        FeedError: a column is neither one of the table's nor a declared attribute.
    """
    _refuse_unknown(types, table, columns)
    cells = [_cell(number, column, types) for number, column in enumerate(columns)]
    filled = [cell for cell in cells if cell.source is not None]
    bad = " or ".join(case for case in ("_problem is not null", *(cell.is_bad for cell in cells)) if case)
    record = ", ".join(f"{literal(cell.column.name)}: {cell.raw}" for cell in filled)
    return f"""
        select {_listed(f"{cell.typed} as {quoted(cell.column.name)}" for cell in cells)},
               _file, _row, _in_row, {part}::int as _part,
               case when _bad then coalesce('row: ' || _problem, concat_ws('; ',
                   {_listed(cell.reason for cell in cells)})) end as _reason,
               case when _bad then to_json({{{record}}})::varchar end as _record
        from (select *, {bad} as _bad from (
            select {_listed(f"{quoted(cell.column.name)} as {cell.raw}" for cell in filled)},
                   {_listed(f"{cell.cast} as {cell.typed}" for cell in cells)},
                   {_listed(_provenance(types, source))}
            from ({sql})))"""


def _cell(number: int, column: Column, types: Mapping[str, str]) -> Cell:
    return Cell(column, types.get(column.name), f"_raw{number}", f"_typed{number}")


def _provenance(types: Mapping[str, str], source: str) -> Iterator[str]:
    for name, kind in PROVENANCE.items():
        known = f"{name}::{kind}" if name in types else f"null::{kind}"
        default = {"_file": literal(source), "_in_row": "false"}.get(name)
        yield f"{known if default is None else f'coalesce({known}, {default})'} as {name}"


def _refuse_unknown(types: Mapping[str, str], table: RawTable, columns: Sequence[Column]) -> None:
    unknown = sorted(set(types) - {column.name for column in columns} - set(PROVENANCE))
    if unknown:
        raise FeedError(
            f"{table.name}: {unknown[0]} is neither a column of raw.{table.name} nor an attribute: "
            f"declare it under [attributes.{table.name}] in feed.toml"
        )


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(parts)
