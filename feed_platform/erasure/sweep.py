"""Every other file of a home, as bytes: where an id still stands, and taking it out of there."""

import os
import re
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from feed_platform.lake.erasure import quoted
from feed_platform.lake.purge import vacuum
from feed_platform.lake.traces import byte_pattern, distinctive_forms, loose_pattern
from feed_platform.settings import Settings

CHUNK, OVERLAP = 16 * 1024**2, 1024
SQLITE = b"SQLite format 3\0"
SIDE_FILES = ("-wal", "-shm")
BLANK = b"x"
BUSY_SECONDS = 10


@dataclass(frozen=True)
class _Search:
    """The patterns of some ids: in text, and in a database's bytes, where cells touch one another."""

    text: "re.Pattern[bytes]"
    loose: "re.Pattern[bytes]"

    @classmethod
    def of(cls, user_ids: Collection[str]) -> "_Search | None":
        """None where no id could be told apart."""
        found = distinctive_forms(user_ids)
        text, loose = byte_pattern(found), loose_pattern(found)
        return None if text is None or loose is None else cls(text, loose)

    def stands_in(self, path: Path) -> bool:
        """Whether a file holds an id: its bytes, or a cell of its tables."""
        return _holds(path, self.text) or (self.may_stand_in(path) and _has_cell(path, self.text))

    def may_stand_in(self, path: Path) -> bool:
        """Whether the bytes of a database, or of its log, look like one of the ids."""
        return _is_database(path) and any(_holds(part, self.loose) for part in (path, *_side_files(path)))


def files_with(settings: Settings, user_ids: Collection[str]) -> list[Path]:
    """The home's files that hold one of the ids as bytes or in a cell of SQLite, those of `erasure/` apart.

    Only ids that can't mean anything else are looked for; Parquet may hide them behind compression.
    """
    search = _Search.of(user_ids)
    return [path for path in _files(settings) if search.stands_in(path)] if search else []


def clean(settings: Settings, user_ids: Collection[str]) -> list[Path]:
    """Blank the ids in the home's text files and SQLite databases; the files that were changed.

    The same length keeps what counts bytes intact. Lake, logs, models and other binary files stay
    as they are: an id that is still there is for `files_with` to report.

    Raises:
        FeedError: a database is in use.
    """
    search = _Search.of(user_ids)
    if search is None:
        return []
    untouched = (settings.root / "lake", settings.logs, settings.models, settings.artifacts)
    files = [path for path in _files(settings) if not any(map(path.is_relative_to, untouched))]
    databases = [path for path in files if search.may_stand_in(path)]
    changed = [path for path in databases if _clean_database(path, search.text)]
    texts = [path for path in files if not _belongs_to_database(path) and _holds(path, search.text)]
    return [*(path for path in texts if _clean_text(path, search.text)), *changed]


def _files(settings: Settings) -> Iterator[Path]:
    for folder, _, names in os.walk(settings.root):
        if Path(folder) != settings.root / "erasure":
            yield from (Path(folder) / name for name in names if not (Path(folder) / name).is_symlink())


def _holds(path: Path, pattern: "re.Pattern[bytes]") -> bool:
    with suppress(FileNotFoundError, OSError), path.open("rb") as file:  # sockets, files just gone
        before = b""
        while chunk := file.read(CHUNK):
            if pattern.search(before + chunk):
                return True
            before = chunk[-OVERLAP:]
    return False


def _is_database(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE
    return False


def _side_files(database: Path) -> list[Path]:
    """A database's write-ahead log and its index, which may not be there."""
    return [database.with_name(database.name + suffix) for suffix in SIDE_FILES]


def _belongs_to_database(path: Path) -> bool:
    owners = [path.name.removesuffix(suffix) for suffix in ("", *SIDE_FILES) if path.name.endswith(suffix)]
    return any(_is_database(path.with_name(name)) for name in owners)


def _clean_text(path: Path, pattern: "re.Pattern[bytes]") -> bool:
    data = path.read_bytes()
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(pattern.sub(_blank, data))
    draft.chmod(path.stat().st_mode)
    os.replace(draft, path)
    return True


def _blank(hit: "re.Match[bytes]") -> bytes:
    return BLANK * len(hit[0])


def _has_cell(database: Path, pattern: "re.Pattern[bytes]") -> bool:
    """Whether a cell of any table holds an id."""
    uri = f"file:{quote(str(database))}?mode=ro"
    with closing(sqlite3.connect(uri, timeout=BUSY_SECONDS, uri=True)) as con:
        _add_functions(con, pattern)
        cells = (f"select 1 from {table} where holds({column}) limit 1" for table, column in _columns(con))
        return any(con.execute(found).fetchone() for found in cells)


def _clean_database(path: Path, pattern: "re.Pattern[bytes]") -> bool:
    """Blank the ids in every column of every table, then drop the pages that held them; were there any?"""
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as con, con:
        _add_functions(con, pattern)
        for table, column in _columns(con):
            con.execute(f"update {table} set {column} = blanked({column}) where holds({column})")
        was_changed = con.total_changes > 0
    vacuum(path)
    return was_changed


def _add_functions(con: sqlite3.Connection, pattern: "re.Pattern[bytes]") -> None:
    """SQL's `holds` and `blanked` of a cell."""

    def holds(cell: object) -> bool:
        return pattern.search(_bytes(cell)) is not None

    def blanked(cell: str | bytes) -> str | bytes:
        new = pattern.sub(_blank, _bytes(cell))
        return new.decode() if isinstance(cell, str) else new

    con.create_function("holds", 1, holds, deterministic=True)
    con.create_function("blanked", 1, blanked, deterministic=True)


def _bytes(cell: object) -> bytes:
    """A cell's bytes; nothing of a number or null."""
    return cell.encode() if isinstance(cell, str) else cell if isinstance(cell, bytes) else b""


def _columns(con: sqlite3.Connection) -> list[tuple[str, str]]:
    tables = [name for (name,) in con.execute("select name from sqlite_master where type = 'table'")]
    return [
        (quoted(table), quoted(row[1]))
        for table in tables
        if not table.startswith("sqlite_")
        for row in con.execute(f"pragma table_info({quoted(table)})")
    ]
