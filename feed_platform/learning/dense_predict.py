"""A booster's predictions without what `Booster.inplace_predict` does around the C call for any kind of data.

For one row the checks and conversions there cost more than the trees.
"""

import ctypes
import json
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xgboost

_CONFIG = json.dumps(
    {
        "type": 0,  # probabilities
        "training": False,
        "iteration_begin": 0,
        "iteration_end": 0,  # all trees
        "missing": float("nan"),
        "strict_shape": False,
        "cache_id": 0,
    }
).encode()
_ARRAY = b'{"data": [%d, true], "shape": [%d, %d], "typestr": "<f4", "version": 3}'


def dense_predict(booster: "xgboost.Booster", matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """As `booster.inplace_predict(matrix)` of a (n, features) matrix, missing NaN: one output a row, (n,).

    Raises:
        xgboost.core.XGBoostError: the matrix doesn't fit the booster.
    """
    from xgboost.core import _LIB, _check_call, c_bst_ulong

    data = np.ascontiguousarray(matrix, dtype="<f4")
    found = ctypes.POINTER(ctypes.c_float)()
    shape, dimensions = ctypes.POINTER(c_bst_ulong)(), c_bst_ulong()
    status = _LIB.XGBoosterPredictFromDense(
        booster.handle,
        _ARRAY % (data.ctypes.data, *data.shape),
        _CONFIG,
        ctypes.c_void_p(),
        ctypes.byref(shape),
        ctypes.byref(dimensions),
        ctypes.byref(found),
    )
    _check_call(status)
    # The library's own memory, which its next call in this thread writes over.
    return np.ctypeslib.as_array(found, (len(data),)).copy()
