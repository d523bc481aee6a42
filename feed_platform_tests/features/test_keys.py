"""Keys are one number in Python and in SQL."""

import duckdb
import numpy as np
import pytest

from feed_platform.features.keys import NO_KEY, key, keys, pair_key


@pytest.mark.parametrize("entity_id", ["", "u1", "мышь", "a" * 64, "tab\tquote'"])
def test_key_equals_the_key_in_sql(entity_id: str) -> None:
    row = duckdb.execute("select md5_number_lower($1), md5_number_lower($1 || chr(31) || $1)", [entity_id])
    assert row.fetchone() == (key(entity_id), pair_key(entity_id, entity_id))


def test_nothing_has_the_key_of_nothing() -> None:
    assert keys([None, "a"]).tolist() == [NO_KEY, key("a")]
    assert keys([]).dtype == np.uint64
    assert pair_key("a", None) == pair_key(None, "a") == NO_KEY
