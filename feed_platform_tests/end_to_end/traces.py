"""Where ids stand in a folder: a search of its own, which shares nothing with the platform's sweep.

Parquet is decoded, SQLite read after VACUUM, everything else searched as bytes, what is compressed
unpacked; an id may be written in any of the ways of `_forms`.
"""

import base64
import bz2
import gzip
import hashlib
import lzma
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, suppress
from html import escape
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq

UNPACK: tuple[Callable[[bytes], bytes], ...] = (
    gzip.decompress,
    zlib.decompress,
    bz2.decompress,
    lzma.decompress,
)
NOT_PACKED = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)
BETWEEN = "\x1f"


def ids_in(folder: Path, ids: Collection[str], without: Collection[str] = ()) -> list[str]:
    """`file: id` of everything that names one of the ids, without the folders named."""
    return _search(folder, {form: one for one in ids for form in _forms(one)}, without)


def keys_in(folder: Path, one: str, others: Collection[str]) -> list[str]:
    """`file: id` where the key of an id stands, or that of its pair with another one."""
    named = {form: one for form in _number(key(one))}
    named |= {form: f"{one} & {other}" for other in others for form in _number(pair_key(one, other))}
    return _search(folder, named, ())


def _search(folder: Path, named: Mapping[bytes, str], without: Collection[str]) -> list[str]:
    left_out = [folder / name for name in without]
    files = [path for path in folder.rglob("*") if path.is_file()]
    found = {
        f"{path.relative_to(folder)}: {name}"
        for path in files
        if not any(map(path.is_relative_to, left_out))
        for text in (str(path.relative_to(folder)).encode(), *_texts(path))
        for form, name in named.items()
        if form in text
    }
    return sorted(found)


def key(one: str) -> int:
    """The integer key of an id: the lower half of its MD5."""
    return int.from_bytes(hashlib.md5(one.encode(), usedforsecurity=False).digest()[8:], "little")


def pair_key(user: str, other: str) -> int:
    """The integer key of a user together with another entity."""
    return key(user) ^ key(other) >> 1


def _number(value: int) -> Iterator[bytes]:
    """As text, and as arrays hold it."""
    yield from (str(value).encode(), value.to_bytes(8, "little"))


def _forms(one: str) -> Iterator[bytes]:
    plain = one.encode()
    digest = hashlib.md5(plain, usedforsecurity=False)
    yield from (plain, one.encode("utf-16-le"), one.encode("utf-32-le"), quote(one, safe="").encode())
    yield from (escape(one).encode(), plain.hex().encode(), digest.hexdigest().encode(), digest.digest())
    yield from (_in_base64(plain, shift) for shift in range(3))


def _in_base64(plain: bytes, shift: int) -> bytes:
    """What is the same of it wherever it begins in a longer text: without the characters that it shares."""
    encoded = base64.b64encode(bytes(shift) + plain + bytes(-(shift + len(plain)) % 3))
    rest = -(shift + len(plain)) % 3
    return encoded[(0, 2, 3)[shift] : len(encoded) - (0, 2, 3)[rest]]


def _texts(path: Path) -> Iterator[bytes]:
    """A file's bytes, and what they hold when they are decoded."""
    data = path.read_bytes()
    yield from _unpacked(data)
    if data.startswith(b"PAR1"):
        yield from _parquet(path)
    if data.startswith(b"SQLite format 3\0"):
        yield from _sqlite(path)


def _unpacked(data: bytes) -> Iterator[bytes]:
    yield data
    for unpack in UNPACK:
        with suppress(*NOT_PACKED):
            yield unpack(data)


def _parquet(path: Path) -> Iterator[bytes]:
    table = pq.read_table(path)
    for column in table.column_names:
        yield BETWEEN.join(map(str, table[column].to_pylist())).encode()


def _sqlite(path: Path) -> Iterator[bytes]:
    """The cells, and the file's bytes, of a copy after VACUUM."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        for suffix in ("", "-wal", "-shm"):
            if (part := path.with_name(path.name + suffix)).exists():
                shutil.copy(part, copy.with_name(copy.name + suffix))
        with closing(sqlite3.connect(copy, isolation_level=None)) as con:
            con.execute("vacuum")
            con.execute("pragma wal_checkpoint(truncate)")
            tables = con.execute("select name from sqlite_master where type = 'table'").fetchall()
            for (table,) in tables:
                for row in con.execute(f'select * from "{table}"'):
                    yield BETWEEN.join(str(cell) for cell in row).encode()
                    packed = [cell for cell in row if isinstance(cell, bytes)]
                    yield from (text for cell in packed for text in _unpacked(cell))
        yield copy.read_bytes()
