"""Rows cut into quantiles once, batch by batch, for the boosters of every objective."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from feed_platform.learning.dataset import Rows
from feed_platform.learning.scorers import Matrix

if TYPE_CHECKING:
    from xgboost import DataIter, QuantileDMatrix

THREADS = 2


@dataclass(frozen=True)
class Binned:
    """The rows of some parts, one after another, as XGBoost's histograms want them.

    The rows themselves never are in memory together: about 3 bytes a value stay, 5 to 6 where values are
    missing. `like` are the rows whose quantiles cut these, as a validation part needs them.
    """

    parts: tuple[Rows, ...]
    like: "Binned | None" = None

    def labelled(self, event: str) -> "QuantileDMatrix":
        """The rows with an objective's labels; the same object again for the next one."""
        label = np.concatenate([part.label(event).astype(np.float32) for part in self.parts])
        self._quantiles.set_info(label=label)
        return self._quantiles

    @cached_property
    def _quantiles(self) -> "QuantileDMatrix":
        import xgboost

        reference = self.like._quantiles if self.like else None
        return xgboost.QuantileDMatrix(_iterator(self.parts), nthread=THREADS, ref=reference)


def _iterator(parts: Sequence[Rows]) -> "DataIter":
    import xgboost

    class Batches(xgboost.DataIter):
        """The parts' matrices, batch by batch, as often as XGBoost asks."""

        def __init__(self) -> None:
            super().__init__()
            self._left: Iterator[Matrix] = iter(())

        def reset(self) -> None:
            self._left = (batch for part in parts for batch in part.batches())

        def next(self, input_data: Any) -> bool:
            batch = next(self._left, None)
            if batch is None:
                return False
            input_data(data=batch, feature_names=list(parts[0].features))
            return True

    return Batches()
