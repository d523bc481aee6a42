"""Keys are one number in Python and in SQL."""

import duckdb
import numpy as np
import pytest

from feed_platform.features.keys import NO_KEY, key, keys, pair_keys


@pytest.mark.parametrize("entity_id", ["", "u1", "мышь", "a" * 64, "tab\tquote'"])
def test_key_equals_the_key_in_sql(entity_id: str) -> None:
    query = "select md5_number_lower($1), xor(md5_number_lower($1), md5_number_lower('b') >> 1)"
    row = duckdb.execute(query, [entity_id])
    assert row.fetchone() == (key(entity_id), int(pair_keys(keys([entity_id]), keys(["b"]))[0]))


def test_nothing_has_the_key_of_nothing_and_namesakes_have_one() -> None:
    assert keys([None, "a"]).tolist() == [NO_KEY, key("a")]
    assert keys([]).dtype == np.uint64
    pairs = pair_keys(keys(["a", None, "a"]), keys([None, "a", "a"]))
    assert pairs.dtype == np.uint64
    assert (pairs == NO_KEY).tolist() == [True, True, False]
