"""Whom to erase, as people name them on a command line or in a file."""

from collections.abc import Iterable
from pathlib import Path

from feed_platform.feed import FeedError


def listed(user_ids: Iterable[str], file: Path | None) -> list[str]:
    """The ids given and those of a file, one a line, each once; blank lines don't count.

    Raises:
        FeedError: the file can't be read, or names nobody.
    """
    given = list(user_ids)
    if file is not None:
        try:
            lines = [line.strip() for line in file.read_text().splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise FeedError(f"{file}: not a list of ids, one a line: {error}") from error
        named = [line for line in lines if line]
        if not named:
            raise FeedError(f"{file} names nobody: write one id a line")
        given += named
    return list(dict.fromkeys(given))
