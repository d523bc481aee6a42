"""The files that a mapping may name: delimiters, headers, encodings, compression, folders, odd rows."""

import bz2
import gzip
import lzma
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from feed_platform.feed import FeedError
from feed_platform.interactions.mapping_model import Input
from feed_platform.interactions.readers import Reader

ROWS = [("u1", "p1", "é"), ("u2", "p2", "x")]


def cells(file: Path, names: list[str], **shape: Any) -> list[tuple[Any, ...]]:
    """The asked cells of every readable row."""
    scan = Reader(Input(files=file.name, columns={}, **shape), file.parent / "scratch").scan(file, names)
    columns = ", ".join(scan.columns[name][0] for name in names)
    return duckdb.sql(f"select {columns} from ({scan.sql}) where _problem is null order by _row").fetchall()


def problems(file: Path, **shape: Any) -> list[tuple[int, str]]:
    """The rows that can't be read, and why."""
    scan = Reader(Input(files=file.name, columns={}, **shape), file.parent / "scratch").scan(file, [])
    return duckdb.sql(f"select _row, _problem from ({scan.sql}) where _problem is not null").fetchall()


def packed(name: str, data: bytes) -> bytes:
    return {
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
        ".zst": lambda raw: pa.Codec("zstd").compress(raw).to_pybytes(),
    }.get(Path(name).suffix, bytes)(data)


SHAPES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "log.csv": ("user,post,note\nu1,p1,é\n\nu2,p2,x\n", "utf-8", {}),
    "bom.csv": ("\ufeffuser,post,note\r\nu1,p1,é\r\nu2,p2,x\r\n", "utf-8", {}),
    "log.tsv": ("user\tpost\tnote\nu1\tp1\té\nu2\tp2\tx", "utf-8", {}),
    "typed.inter": ("user:token\tpost:token\tnote:token_seq\nu1\tp1\té\nu2\tp2\tx\n", "utf-8", {}),
    "dat.dat": ("u1::p1::é\nu2::p2::x\n", "latin-1", {"delimiter": "::", "header": ["user", "post", "note"]}),
    "semi.txt": ("user;post;note\nu1;p1;é\nu2;p2;x\n", "cp1252", {"delimiter": ";"}),
    "wide.csv": ("user,post,note\nu1,p1,é\nu2,p2,x\n", "utf-16", {}),
    "pre.csv": ('about "this\n\nuser,post,note\nu1,p1,é\nu2,p2,x\n', "utf-8", {"skip_lines": 2}),
    "log.jsonl": (
        '{"user":"u1","post":"p1","note":"é"}\n\n{"user":"u2","post":"p2","note":"x"}',
        "utf-8",
        {},
    ),
    "array.json": (
        '[{"user":"u1","post":"p1","note":"é"},\n{"user":"u2","post":"p2","note":"x"}]',
        "utf-8",
        {},
    ),
}


@pytest.mark.parametrize("packing", ["", ".gz", ".zst", ".bz2", ".xz"])
@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_of_file_gives_its_rows(tmp_path: Path, name: str, packing: str) -> None:
    text, encoding, shape = SHAPES[name]
    file = tmp_path / f"{name}{packing}"
    file.write_bytes(packed(file.name, text.encode(encoding)))
    assert cells(file, ["user", "post", "note"], encoding=encoding, **shape) == ROWS


def test_columns_are_found_by_number_path_and_folder(tmp_path: Path) -> None:
    folder = tmp_path / "day=2024-05-01" / "shop=a%2Fb"
    folder.mkdir(parents=True)
    (folder / "log.csv").write_text("u1,p1\n")
    assert cells(folder / "log.csv", ["2", "day", "shop"], header=False) == [("p1", "2024-05-01", "a/b")]
    (folder / "log.jsonl").write_text('{"user": {"id": 7}, "a.b": 1}\n{"tags": ["x", "y"]}\n')
    assert cells(folder / "log.jsonl", ["user.id", "a.b", "tags"]) == [
        ("7", "1", None),
        (None, None, '["x","y"]'),
    ]
    duckdb.sql(f"copy (select {{'id': 7}} as user) to '{folder / 'log.parquet'}'")
    assert cells(folder / "log.parquet", ["user.id", "day"]) == [(7, "2024-05-01")]


def test_rows_that_do_not_fit_keep_their_number_and_say_why(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text('a,b\n"1\n2",x\n\n3\n4,5,6,7\n"say ""hi""",y\n')
    assert problems(file) == [(2, "has 1 fields, the header has 2"), (3, "has 4 fields, the header has 2")]
    assert cells(file, ["a"]) == [("1\n2",), ('say "hi"',)]


def test_stray_quotes_are_text_where_tabs_separate(tmp_path: Path) -> None:
    file = tmp_path / "log.tsv"
    file.write_text('a\tb\n1\t"Great" Cats\n2\t"open\n')
    assert cells(file, ["b"]) == [('"Great" Cats',), ('"open',)]
    file.write_text('a\tb\n1\t"x\ty"\n')
    assert cells(file, ["b"], quote='"') == [("x\ty",)]


def test_words_for_nothing_are_nothing(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("a,b\nNA,\\N\n,x\n")
    assert cells(file, ["a", "b"], null_values=["NA", "\\N"]) == [(None, None), (None, "x")]


REFUSED: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "log.zip": (b"PK", {}, "is an archive: unpack it"),
    "log.xls": (b"a", {}, "give csv, parquet or jsonl as format"),
    "semi.csv": (b"user;post\nu;p\n", {}, "it has user;post; set delimiter: ';'"),
    "near.csv": (b"users,post\n", {}, "no column 'user'; it has users, post; did you mean users"),
    "empty.csv": (b"", {}, "it has none"),
    "latin.csv": ("user,pöst\n".encode("latin-1"), {}, "is not CSV in UTF-8"),
    "code.csv": (b"user\n", {"encoding": "klingon"}, "encoding 'klingon' is unknown"),
    "broken.csv.gz": (b"user\n", {}, "is not CSV"),
    "two.csv": (b"user:token,user:float\n", {}, "no column 'user'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_says_why(tmp_path: Path, name: str) -> None:
    data, shape, message = REFUSED[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FeedError, match=message):
        cells(tmp_path / name, ["user"], **shape)


def test_native_types_of_parquet_stay(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    duckdb.sql(f"copy (select timestamp '2024-05-01' as at, [1, 2] as tags) to '{file}'")
    assert cells(file, ["at", "tags"]) == [(datetime(2024, 5, 1), [1, 2])]
