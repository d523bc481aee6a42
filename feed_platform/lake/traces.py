"""How an id may stand in text: which ids can be told apart there, and the pattern that finds them."""

import json
import re
from collections.abc import Collection
from html import escape
from urllib.parse import quote

# What may not stand on either side of an id: `user-12` isn't in `user-123`. The last letter of an escape may.
WORD = "0-9A-Za-z"
ESCAPES = (r"\\[nrt]", r"\\u[0-9A-Fa-f]{4}", "%[0-9A-Fa-f]{2}")
SHORTEST, SHORTEST_NUMBER = 8, 16


def is_distinctive(user_id: str) -> bool:
    """Whether the id in a text can only mean the person: not `7`, which is a position or another's id too.

    Example:
        >>> is_distinctive("user-00012"), is_distinctive("u12"), is_distinctive("20261125")
        (True, False, False)
    """
    return len(user_id) >= (SHORTEST_NUMBER if user_id.isdigit() else SHORTEST)


def is_distinctive_sql(word: str) -> str:
    """The same as SQL of a text."""
    is_number = f"regexp_full_match({word}, '[0-9]+')"
    return f"length({word}) >= if({is_number}, {SHORTEST_NUMBER}, {SHORTEST})"


def forms(user_id: str) -> list[str]:
    """The ways to write an id: as it is, and as JSON, HTML and a URL escape it."""
    escaped = (json.dumps(user_id, ensure_ascii=ascii_only)[1:-1] for ascii_only in (False, True))
    return list(dict.fromkeys([user_id, *escaped, escape(user_id), quote(user_id, safe="")]))


def distinctive_forms(user_ids: Collection[str]) -> list[str]:
    """All forms of those ids that can be told apart in text."""
    return [form for user_id in user_ids if is_distinctive(user_id) for form in forms(user_id)]


def sql_pattern(form: str) -> str:
    """The form between anything but letters and digits, as an RE2 pattern with both neighbours as groups."""
    return f"(^|[^{WORD}]|{'|'.join(ESCAPES)}){re.escape(form)}([^{WORD}]|$)"


def byte_pattern(found: Collection[str]) -> "re.Pattern[bytes] | None":
    """A pattern that finds any of the forms in text as bytes; None where there is none to look for."""
    if not found:
        return None
    before = "|".join([f"(?<![{WORD}])", *(f"(?<={escape})" for escape in ESCAPES)])
    return re.compile(f"(?:{before})(?:{_any_of(found)})(?![{WORD}])".encode())


def loose_pattern(found: Collection[str]) -> "re.Pattern[bytes] | None":
    """The same whatever stands beside it: a database puts one cell right after another."""
    return re.compile(_any_of(found).encode()) if found else None


def _any_of(found: Collection[str]) -> str:
    return "|".join(re.escape(form) for form in sorted(found, key=len, reverse=True))
