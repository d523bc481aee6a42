"""The one place where the lake is opened: to read, to write, to read at a version."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb

from feed_platform.feed import FeedError
from feed_platform.lake.contract import check_contract, create_tables
from feed_platform.lake.lock import writer_lock
from feed_platform.settings import Settings

EXTENSIONS = ("sqlite_scanner", "ducklake")
BUSY_TIMEOUT_MS = 10_000


class VersionGone(FeedError):
    """A lake version that can't be read any more, by retention or an erasure."""


@dataclass(frozen=True)
class Lake:
    """One feed's lake. Cheap to make; every method opens a connection of its own.

    Example:
        >>> lake = Lake.of(Settings())                          # doctest: +SKIP
        >>> with lake.read() as con:                            # doctest: +SKIP
        ...     con.sql("select count(*) from raw.impressions")
    """

    catalog: str
    data: str
    memory_limit: str
    temp: Path

    @classmethod
    def of(cls, settings: Settings) -> "Lake":
        """The lake that the settings name."""
        return cls(settings.catalog, settings.data, settings.memory_limit, settings.root / "tmp")

    @contextmanager
    def read(self, version: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the lake read-only: the latest version, or a given one.

        Raises:
            FeedError: the home has no lake yet, or not this version any more.
        """
        if not self.exists():
            raise FeedError(f"no lake at {self.catalog}: import a log (feed import MAPPING) or run make demo")
        options = ["READ_ONLY"] + ([f"SNAPSHOT_VERSION {version}"] if version is not None else [])
        with closing(self._open(options, version)) as con:
            check_contract(con)
            yield con

    @contextmanager
    def write(
        self, message: str, extra: Mapping[str, Any] | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the lake in one write transaction under the writer lock.

        Commits when the block ends well, else nothing of it is seen. `message` and `extra`
        are kept with the lake's version.
        """
        with self.exclusive() as con:
            con.begin()
            try:
                yield con
                con.execute(
                    "call lake.set_commit_message('feed', ?, extra_info => ?)",
                    [message, json.dumps(dict(extra or {}), default=str)],
                )
                con.commit()
            except BaseException:
                con.rollback()
                raise

    @contextmanager
    def exclusive(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the lake under the writer lock, each statement a commit of its own: for maintenance."""
        with self._lock(), closing(self._attach(self._write_options())) as con:
            create_tables(con)
            yield con

    def exists(self) -> bool:
        """Whether the lake has been created."""
        return self.on_postgres or Path(self.catalog).exists()

    @property
    def on_postgres(self) -> bool:
        """PostgreSQL takes concurrent writers: no lock."""
        return self.catalog.startswith("postgres")

    @property
    def lock_path(self) -> Path:
        """The writer lock's file."""
        return Path(self.catalog).with_suffix(".lock")

    @property
    def address(self) -> str:
        """The lake as DuckDB's ATTACH names it."""
        return f"ducklake:{'postgres' if self.on_postgres else 'sqlite'}:{self.catalog}"

    def _write_options(self) -> list[str]:
        journal = [] if self.on_postgres else ["META_JOURNAL_MODE 'WAL'"]
        return [f"DATA_PATH {_quoted(self.data)}", *journal]

    def _lock(self) -> Any:
        return nullcontext() if self.on_postgres else writer_lock(self.lock_path)

    def _open(self, options: list[str], version: int | None) -> duckdb.DuckDBPyConnection:
        try:
            return self._attach(options)
        except duckdb.Error as error:
            if version is not None and "snapshot" in str(error).lower():
                raise VersionGone(
                    f"the lake's version {version} is gone, by retention or an erasure: "
                    "train and evaluate again (dagster job execute -j train)"
                ) from error
            raise

    def _attach(self, options: list[str]) -> duckdb.DuckDBPyConnection:
        for folder in (self.temp, Path(self.catalog).parent if not self.on_postgres else self.temp):
            folder.mkdir(parents=True, exist_ok=True)
        con = duckdb.connect(
            config={
                "memory_limit": self.memory_limit,
                "temp_directory": str(self.temp),
                # Their signatures would be computed at each opening, for a tenth of a second each.
                "allow_unsigned_extensions": "true",
            }
        )
        for name in EXTENSIONS:
            con.load_extension(str(extension_path(name)))
        con.execute("SET allow_unsigned_extensions = false")
        timeout = [] if self.on_postgres else [f"META_BUSY_TIMEOUT {BUSY_TIMEOUT_MS}"]
        con.execute(f"ATTACH {_quoted(self.address)} AS lake ({', '.join(options + timeout)})")
        con.execute("USE lake; SET TimeZone = 'UTC'")
        return con


def version_of(con: duckdb.DuckDBPyConnection) -> int:
    """The lake version (DuckLake snapshot id) that a connection sees."""
    row = con.execute("select id from lake.current_snapshot()").fetchone()
    assert row is not None
    return int(row[0])


def extension_path(name: str) -> Path:
    """A DuckDB extension's file inside its wheel: loading it by path writes nothing to the user's home.

    Raises:
        FeedError: the wheel is missing.
    """
    package = f"duckdb_extension_{name}"
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise FeedError(
            f"{package} is not installed: pip install {package.replace('_', '-')}=={duckdb.__version__}"
        )
    return Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"


def explore_script(lake: Lake) -> str:
    """SQL that opens the lake read-only in anyone's DuckDB: `duckdb -init explore.sql`."""
    loads = [f"LOAD {_quoted(str(extension_path(name)))};" for name in EXTENSIONS]
    attach = f"ATTACH {_quoted(lake.address)} AS lake (READ_ONLY, META_BUSY_TIMEOUT {BUSY_TIMEOUT_MS});"
    return "\n".join([*loads, attach, "USE lake;", "SET TimeZone = 'UTC';", ""])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
