"""Every other file of a home, as bytes: where an id still stands, and taking it out of there."""

import os
import re
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from pathlib import Path

from feed_platform.lake.erasure import quoted
from feed_platform.lake.purge import vacuum
from feed_platform.lake.traces import byte_pattern, distinctive_forms
from feed_platform.settings import Settings

CHUNK, OVERLAP = 16 * 1024**2, 1024
SQLITE = b"SQLite format 3\0"
SIDE_FILES = ("-wal", "-shm")
BLANK = b"x"
BUSY_SECONDS = 10


def files_with(settings: Settings, user_ids: Collection[str]) -> list[Path]:
    """The home's files that hold one of the ids as bytes, those of `erasure/` apart.

    Only ids that can't mean anything else are looked for; Parquet may hide them behind compression.
    """
    pattern = byte_pattern(distinctive_forms(user_ids))
    if pattern is None:
        return []
    return [path for path in _files(settings) if _holds(path, pattern)]


def clean(settings: Settings, user_ids: Collection[str]) -> list[Path]:
    """Blank the ids in the home's text files and SQLite databases; the files that were changed.

    The same length keeps what counts bytes intact. Lake, logs, models and other binary files stay
    as they are: an id that is still there is for `files_with` to report.

    Raises:
        FeedError: a database is in use.
    """
    pattern = byte_pattern(distinctive_forms(user_ids))
    if pattern is None:
        return []
    untouched = (settings.root / "lake", settings.logs, settings.models, settings.artifacts)
    hit = [path for path in files_with(settings, user_ids) if not any(map(path.is_relative_to, untouched))]
    owners = {path: _database(path) for path in hit}
    databases = sorted({database for database in owners.values() if database is not None})
    for database in databases:
        _clean_database(database, pattern)
    texts = [path for path, database in owners.items() if database is None and _clean_text(path, pattern)]
    return [*texts, *databases]


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


def _database(path: Path) -> Path | None:
    """The SQLite file that a file is, or belongs to."""
    for suffix in SIDE_FILES:
        if path.name.endswith(suffix):
            path = path.with_name(path.name.removesuffix(suffix))
    with suppress(OSError), path.open("rb") as file:
        return path if file.read(len(SQLITE)) == SQLITE else None
    return None


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


def _clean_database(path: Path, pattern: "re.Pattern[bytes]") -> None:
    """Blank the ids in every column of every table, then drop the pages that held them."""

    def holds(cell: object) -> bool:
        return pattern.search(_bytes(cell)) is not None

    def blanked(cell: str | bytes) -> str | bytes:
        new = pattern.sub(_blank, _bytes(cell))
        return new.decode() if isinstance(cell, str) else new

    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as con, con:
        con.create_function("holds", 1, holds, deterministic=True)
        con.create_function("blanked", 1, blanked, deterministic=True)
        for table, column in _columns(con):
            con.execute(f"update {table} set {column} = blanked({column}) where holds({column})")
    vacuum(path)


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
