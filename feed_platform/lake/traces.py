"""How an id may stand in text: which ids can be told apart there, and the pattern that finds them."""

import json
import re
from collections.abc import Collection

# What may not stand on either side of an id: `user-12` isn't in `user-123`.
WORD = "0-9A-Za-z"
SHORTEST, SHORTEST_NUMBER = 8, 16


def is_distinctive(user_id: str) -> bool:
    """Whether the id in a text can only mean the person: not `7`, which is a position or another's id too.

    Example:
        >>> is_distinctive("user-00012"), is_distinctive("u12"), is_distinctive("20261125")
        (True, False, False)
    """
    return len(user_id) >= (SHORTEST_NUMBER if user_id.isdigit() else SHORTEST)


def forms(user_id: str) -> list[str]:
    """The ways to write an id: as it is, and as JSON escapes it."""
    escaped = (json.dumps(user_id, ensure_ascii=ascii_only)[1:-1] for ascii_only in (False, True))
    return list(dict.fromkeys([user_id, *escaped]))


def distinctive_forms(user_ids: Collection[str]) -> list[str]:
    """All forms of those ids that can be told apart in text."""
    return [form for user_id in user_ids if is_distinctive(user_id) for form in forms(user_id)]


def sql_pattern(form: str) -> str:
    """The form between anything but letters and digits, as an RE2 pattern with both neighbours as groups."""
    return f"(^|[^{WORD}]){re.escape(form)}([^{WORD}]|$)"


def byte_pattern(found: Collection[str]) -> "re.Pattern[bytes] | None":
    """A pattern that finds any of the forms in a file's bytes; None where there is none to look for."""
    if not found:
        return None
    words = b"|".join(re.escape(form.encode()) for form in sorted(found, key=len, reverse=True))
    neighbour = f"[{WORD}]".encode()
    return re.compile(b"(?<!" + neighbour + b")(?:" + words + b")(?!" + neighbour + b")")
