"""`feed sql` writes every row, in the form that was asked for."""

import csv
import io
import json

import pytest

from feed_platform.feed import FeedError
from feed_platform.lake import Lake
from feed_platform.lake.query import write_query
from feed_platform.settings import Settings

MANY = "select range as n, 'a,\"b' as text from range(25000)"


def test_csv_is_whole_and_quoted(home: Settings) -> None:
    out = io.StringIO()
    write_query(Lake.of(home), MANY, "csv", out)
    rows = list(csv.reader(io.StringIO(out.getvalue())))
    assert len(rows) == 25_001
    assert rows[-1] == ["24999", 'a,"b']


@pytest.mark.parametrize(("limit", "expected"), [(0, []), (2, [{"n": 0}, {"n": 1}])])
def test_json_is_one_array(home: Settings, limit: int, expected: list[dict[str, int]]) -> None:
    out = io.StringIO()
    write_query(Lake.of(home), f"select range as n from range({limit})", "json", out)
    assert json.loads(out.getvalue()) == expected


def test_table_is_never_truncated(home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    write_query(Lake.of(home), "select range as n from range(500)", "table")
    assert "249" in capsys.readouterr().out


def test_a_wrong_query_is_a_clear_error(home: Settings) -> None:
    with pytest.raises(FeedError, match="nowhere"):
        write_query(Lake.of(home), "select * from nowhere", "csv")
