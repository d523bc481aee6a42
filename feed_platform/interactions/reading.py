"""How far an import has read its files."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from feed_platform.interactions.batch import Relation

POLL_SECONDS = 0.2

Progress = Callable[[str, int, int], None]


@dataclass
class Reading:
    """Tells `hear` the file that is being read, and how many bytes of how many are done.

    `sizes` gives each relation's label and bytes.
    """

    hear: Progress
    sizes: Callable[[Relation], tuple[str, int]]
    con: duckdb.DuckDBPyConnection | None = None
    label: str = ""
    current: int = 0
    done: int = 0
    total: int = 0

    def relations(self, relations: Iterable[Relation]) -> Iterator[Relation]:
        """The relations; the import asks for the next when it has read one."""
        pieces = [(one, *self.sizes(one)) for one in relations]
        self.total = sum(size for _, _, size in pieces)
        for one, self.label, self.current in pieces:
            self._tell(0)
            yield one
            self.done += self.current
        self.label, self.current = "writing", 0
        self._tell(0)

    def watch(self, con: duckdb.DuckDBPyConnection) -> None:
        """Follow what a connection reads."""
        con.execute("set enable_progress_bar = true; set enable_progress_bar_print = false")
        self.con = con

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell of it all along the block."""
        stop = threading.Event()
        thread = threading.Thread(target=self._poll, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _poll(self, stop: threading.Event) -> None:
        while not stop.wait(POLL_SECONDS):
            try:
                percent = self.con.query_progress() if self.con is not None else 0
            except duckdb.Error:  # closed: all is read
                return
            self._tell(percent)

    def _tell(self, percent: float) -> None:
        self.hear(self.label, self.done + int(self.current * max(percent, 0) / 100), self.total)
