"""The rows of one file of a mapping's input as SQL: raw columns, in-row engagements, slates."""

from collections.abc import Mapping
from dataclasses import dataclass

from feed_platform.feed import Feed
from feed_platform.interactions.casting_sql import number_sql, text_sql
from feed_platform.interactions.mapped_cells import (
    SEPARATOR,
    Columns,
    Typed,
    column_sql,
    condition_sql,
    context_sql,
    decimal_sql,
    list_sql,
    time_sql,
)
from feed_platform.interactions.mapping_model import Condition, ImpressionInput, Input, InRow, ListCell, Slate
from feed_platform.interactions.merge import quoted
from feed_platform.interactions.readers import TEXT, Scan, literal
from feed_platform.interactions.schemas import RawTable, input_types

NOTHING = ("", "0", "0.0", "false", "f", "no", "n", "nan")
ONCE = ("1", "1.0", "true", "t", "yes", "y")
MEASURED = ("dwell",)
ENGAGED_WITH = ("impression_id", "user_id", "post_id", "received_at")


@dataclass(frozen=True)
class Mark:
    """An engagement inside an impression's row: its event type and, as SQL, mark, value and time."""

    event_type: str
    happened: str
    value: str
    occurred_at: str


@dataclass(frozen=True)
class FileRows:
    """One file of an input; `name` is its name in ids and in quarantine, `log` the mapping's.

    `lists` names the relations that hold the files of `in_file` conditions.
    """

    table: RawTable
    one: Input
    feed: Feed
    log: str
    name: str
    scan: Scan
    lists: Mapping[str, str]

    @property
    def types(self) -> dict[str, str]:
        """The DuckDB types of the raw columns that this file fills."""
        return {column: source for column, (_, source) in self._raw().items()}

    def rows(self) -> str:
        """A SELECT of the raw columns with where each row came from."""
        return self._select(self._raw())

    def strict(self) -> str | None:
        """A faster SELECT of the same rows for a file without fault, where nothing depends on row numbers."""
        one = self.one
        is_numbered = self.table.is_event and self.table.key not in one.given
        if self.scan.strict is None or is_numbered or self._slate or one.where or one.exclude:
            return None
        return f"select {self._filled(self._raw())}, _problem from ({self.scan.strict})"

    def engagements(self) -> list[str]:
        """A SELECT for each kind of engagement that stands inside the rows."""
        raw = self._raw()
        return [self._engaged(mark, raw) for mark in self._marks()]

    def kept(self) -> str:
        """The scanned rows that the input takes and doesn't exclude."""
        taken = [self._passes(condition) for condition in self.one.where]
        taken += [f"not {self._passes(condition)}" for condition in self.one.exclude]
        condition = f" where _problem is not null or ({' and '.join(taken)})" if taken else ""
        return f"select * from ({self.scan.sql}){condition}"

    def excluded(self) -> str:
        """How many rows each rule of `exclude` leaves out; the first that applies counts."""
        taken = " and ".join(["_problem is null", *(self._passes(rule) for rule in self.one.where)])
        cases = " ".join(
            f"when {self._passes(rule)} then {place}" for place, rule in enumerate(self.one.exclude)
        )
        return f"select case {cases} end as rule, count(*) from ({self.scan.sql}) where {taken} group by 1"

    def _passes(self, condition: Condition) -> str:
        return condition_sql(condition, self._columns, self.one, self.lists)

    @property
    def _columns(self) -> Columns:
        return self.scan.columns

    @property
    def _slate(self) -> Slate | None:
        return self.one.slate if isinstance(self.one, ImpressionInput) else None

    def _source(self) -> str:
        """The rows that are kept; where they list several posts, one row for each with its `_place`."""
        slate = self._slate
        if slate is None:
            return self.kept()
        lists = {
            "_ids": slate.post_id,
            "_ps": slate.propensity,
            "_labels": slate.labels,
            "_on": slate.engaged,
        }
        given = {name: self._listed(cell) for name, cell in lists.items() if cell is not None}
        parsed = ", ".join(f"{sql} as {name}" for name, sql in given.items())
        problems = ["when coalesce(len(_ids), 0) = 0 then 'lists no post'"]
        problems += [
            f"when len({name}) <> len(_ids) "
            f"then format('has {{}} {what} for {{}} posts', len({name}), len(_ids))"
            for name, what in (("_ps", "propensities"), ("_labels", "labels"))
            if name in given
        ]
        return f"""select * replace (coalesce(_problem, case {" ".join(problems)} end) as _problem),
            unnest(range(1, greatest(coalesce(len(_ids), 0), 1) + 1)) as _place
            from (select *, {parsed} from ({self.kept()}))"""

    def _listed(self, cell: ListCell) -> str:
        return list_sql(*self._columns[cell.column], cell.split)

    def _select(self, raw: Mapping[str, Typed], *more: str, where: str = "") -> str:
        cells = ", ".join([self._filled(raw), "_row", "_problem", *more])
        return f"select {cells} from ({self._source()}){where}"

    def _filled(self, raw: Mapping[str, Typed]) -> str:
        cells = [f"{sql} as {quoted(column)}" for column, (sql, _) in raw.items()]
        return ", ".join([*cells, f"{literal(self.name)} as _file"])

    def _raw(self) -> dict[str, Typed]:
        """Every raw column that is filled, as SQL over the source."""
        kinds = input_types(self.table, self.feed)
        raw = {
            name: column_sql(column, self._columns, self.one, kinds[name])
            for name, column in self.one.columns.items()
        }
        raw |= {name: (literal(value), TEXT) for name, value in self.one.constants.items()}
        if isinstance(self.one, ImpressionInput) and self.one.context:
            numbers = {key for key, kind in self.feed.attributes.context.items() if kind == "number"}
            raw["context"] = context_sql(self.one, self._columns, numbers), TEXT
        return self._prefixed(self._listed_posts(self._with_id(raw)))

    def _with_id(self, raw: dict[str, Typed]) -> dict[str, Typed]:
        """An event's id made from the file and the row, where the mapping names none."""
        if not self.table.is_event or self.table.key in raw:
            return raw
        known = literal(f"{self.log}\x1f{self.name}\x1f")
        return raw | {self.table.key: (f"md5({known} || _row)", TEXT)}

    def _listed_posts(self, raw: dict[str, Typed]) -> dict[str, Typed]:
        """A slate's impressions, each with its post, position and an id of its own."""
        slate = self._slate
        if slate is None:
            return raw
        row_id = text_sql(*raw["impression_id"])
        made: dict[str, Typed] = {
            "impression_id": (f"md5({row_id} || {SEPARATOR} || _place)", TEXT),
            "post_id": (self._label_apart(slate)[0], TEXT),
            "position": ("_place", "BIGINT"),
        }
        if slate.propensity is not None:
            made["propensity"] = (decimal_sql("_ps[_place]", self.one), TEXT)
        return {"request_id": (row_id, TEXT), **raw, **made}

    def _prefixed(self, raw: dict[str, Typed]) -> dict[str, Typed]:
        prefixed: dict[str, Typed] = {
            name: (f"{literal(prefix)} || {text_sql(*raw[name])}", TEXT)
            for name, prefix in self.one.id_prefix.items()
            if name in raw
        }
        return raw | prefixed

    def _label_apart(self, slate: Slate) -> Typed:
        """The post and the label in a slate's element such as N55689-1."""
        if slate.label_after is None:
            return "_ids[_place]", "null"
        parts = f"string_split(_ids[_place], {literal(slate.label_after)})"
        post = f"array_to_string({parts}[:-2], {literal(slate.label_after)})"
        return (
            f"case when len({parts}) > 1 then {post} else _ids[_place] end",
            f"case when len({parts}) > 1 then {parts}[-1] end",
        )

    def _marks(self) -> list[Mark]:
        in_row = self.one.engagements_in_row if isinstance(self.one, ImpressionInput) else ()
        marks = [self._in_row(each) for each in in_row]
        slate = self._slate
        if slate is None:
            return marks
        return [*marks, *(self._yes_or_no(slate.event_type, label) for label in self._labels(slate))]

    def _labels(self, slate: Slate) -> list[str]:
        if slate.label_after is not None:
            return [self._label_apart(slate)[1]]
        if slate.labels is not None:
            return ["_labels[_place]"]
        return ["list_contains(_on, _ids[_place])::varchar"] if slate.engaged is not None else []

    def _in_row(self, each: InRow) -> Mark:
        cell, source = self._columns[each.column]
        words = text_sql(cell, source)
        value = None if each.value is None else decimal_sql(text_sql(*self._columns[each.value]), self.one)
        at = "shown_at"
        if each.occurred_at is not None:
            own, kind = time_sql(*self._columns[each.occurred_at], self.one)
            at = f"coalesce({text_sql(own, kind)}, shown_at::varchar)"
        if each.is_threshold:
            return _passed(each, decimal_sql(words, self.one), value or "null", at)
        return self._yes_or_no(each.event_type, words, value, at)

    def _yes_or_no(self, event_type: str, words: str, value: str | None = None, at: str = "shown_at") -> Mark:
        """It happened unless the cell says no; what is no yes either is its value."""
        word = f"lower({words})"
        happened = f"{word} not in ({', '.join(map(literal, NOTHING))})"
        once = ", ".join(map(literal, ONCE))
        plain = word if event_type in MEASURED else f"case when {word} not in ({once}) then {word} end"
        return Mark(event_type, happened, value or plain, at)

    def _engaged(self, mark: Mark, raw: Mapping[str, Typed]) -> str:
        rows = self._select(
            raw, f"{mark.happened} as _happened", f"{mark.value} as _value", where=" where _problem is null"
        )
        kept = ", ".join(name for name in ENGAGED_WITH if name in raw)
        event = literal(mark.event_type)
        impression = text_sql("impression_id", raw["impression_id"][1])
        return f"""select {kept}, {mark.occurred_at} as occurred_at, _value as value,
            md5(coalesce({impression}, '') || {SEPARATOR} || {event}) as engagement_id, {event} as event_type,
            _file, _row, true as _in_row from ({rows}) where _happened"""


def _passed(each: InRow, words: str, value: str, at: str) -> Mark:
    """It happened where the number reaches its threshold; what is no number is refused as its value."""
    number = number_sql(words, TEXT)
    bounds = ((each.at_least, ">="), (each.at_most, "<="))
    tests = [f"{number} {sign} {bound}" for bound, sign in bounds if bound is not None]
    happened = f"({' and '.join(tests)}) or ({words} is not null and {number} is null)"
    return Mark(each.event_type, happened, f"case when {number} is null then {words} else {value} end", at)
