"""A feature matrix that lies in a file without a name, read some rows at a time."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.feed import FeedError
from feed_platform.learning.scorers import Matrix

CELL = np.dtype(np.float32).itemsize
READ_BYTES = 32 * 2**20


class Spool:
    """Rows of float32 features, written once, read in order or by number.

    The lake's rows must be decoded and sorted at every reading, and XGBoost wants them four times to cut
    them into quantiles: from here that costs little. The file is deleted when it is made, so the kernel
    frees it with its last reader, also after an error or a kill.
    """

    def __init__(self, width: int, folder: Path | None) -> None:
        self.width = width
        self.rows = 0
        self._folder = folder
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115, closed with the spool

    @classmethod
    def of(cls, frames: Iterable[pl.DataFrame], width: int, folder: Path | None) -> "Spool":
        """Write frames of `width` numeric columns; null becomes NaN.

        Raises:
            FeedError: the disk is full.
        """
        spool = cls(width, folder)
        for frame in frames:
            spool._append(as_matrix(frame))
        return spool

    def __len__(self) -> int:
        return self.rows

    def batches(self) -> Iterator[Matrix]:
        """The rows in order, (n, width) at a time, some 32 MB each."""
        step = max(1, READ_BYTES // (self.width * CELL))
        for start in range(0, self.rows, step):
            yield self._read(start, min(step, self.rows - start))

    def take(self, rows: NDArray[np.int64]) -> Matrix:
        """The rows of these numbers, (len(rows), width)."""
        taken = np.empty((len(rows), self.width), dtype=np.float32)
        for place, row in zip(taken, rows.tolist(), strict=True):
            self._fill(place, row)
        return taken

    def _append(self, matrix: Matrix) -> None:
        try:
            left = matrix.reshape(-1).view(np.uint8).data
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise self._full() from error
        self.rows += len(matrix)

    def _read(self, start: int, rows: int) -> Matrix:
        matrix = np.empty((rows, self.width), dtype=np.float32)
        self._fill(matrix, start)
        return matrix

    def _fill(self, matrix: Matrix, start: int) -> None:
        left, offset = matrix.reshape(-1).view(np.uint8).data, start * self.width * CELL
        while left:
            done = os.preadv(self._file.fileno(), [left], offset)
            left, offset = left[done:], offset + done

    def _full(self) -> FeedError:
        folder = self._folder or Path(tempfile.gettempdir())
        free = shutil.disk_usage(folder).free // 2**20
        return FeedError(
            f"the features of {self.rows:,} rows and more, {self.width * CELL} bytes each, don't fit into "
            f"{folder}, where {free:,} MiB are free: make room on that disk"
        )


def as_matrix(frame: pl.DataFrame) -> Matrix:
    """Columns as float32 (n, columns), row by row in memory; missing is NaN."""
    columns = frame.select(pl.all().cast(pl.Float32).fill_null(np.nan))
    return np.ascontiguousarray(columns.to_numpy())
