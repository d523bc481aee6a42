"""The list of erased people, as imports ask it."""

import json

import duckdb
import pytest

from feed_platform.lake.erased import erased_name, names_erased, suppress

ADA = "ada+1@example.org"
RECORDS = {
    json.dumps({"user_id": "bob-4711", "position": ADA}): True,
    json.dumps({"user_id": "bob-4711", "context": json.dumps({"friends": ["eve", ADA]})}): True,
    json.dumps({"row": f'1;2026-01-01;{ADA};"x'}): True,
    json.dumps({"user_id": "bob-4711", "country": "de"}): False,
    json.dumps({"user_id": f"x{ADA}"}): False,
}


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    found = duckdb.connect()
    found.execute("attach ':memory:' as lake; use lake; create schema raw")
    suppress(found, [ADA, "de"])
    return found


def test_a_row_names_an_erased_person_wherever_the_id_stands(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("create table found as select unnest($records) as record", {"records": list(RECORDS)})
    told = con.execute(f"select record, {names_erased(con, 'record')} from found").fetchall()
    assert dict(told) == RECORDS
    assert con.execute(f"select {names_erased(con, 'null::varchar')}").fetchone() == (False,)


def test_names_of_erased_people_are_replaced_and_words_that_are_also_ids_are_not(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute("create table attributes as select unnest([$ada, 'de', 'eve', null]) as name", {"ada": ADA})
    told = con.execute(f"select {erased_name(con, 'name')} from attributes").fetchall()
    (pseudonym,), *others = told
    assert pseudonym.startswith("erased-") and len(pseudonym) == 39
    assert others == [("de",), ("eve",), (None,)]
