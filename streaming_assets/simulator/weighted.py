"""Weighted choice in constant time (the alias method), for one table or one a state."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streaming_assets.simulator.randomness import Floats


class AliasTable:
    """Choice among `len(weights)` entries, each in proportion to its weight; one of weight 0 never comes."""

    def __init__(self, weights: ArrayLike) -> None:
        self._rows = AliasRows([np.asarray(weights, dtype=np.float64)])

    def draw(self, uniform: Floats) -> NDArray[np.int32]:
        """One entry's index for each uniform in [0, 1)."""
        return self._rows.draw(np.zeros(len(uniform), dtype=np.int32), uniform)


class AliasRows:
    """Several alias tables side by side: row r chooses among the entries of its own weights."""

    def __init__(self, rows: Sequence[NDArray[np.float64]]) -> None:
        self._width = max(len(row) for row in rows)
        self._cut = np.empty(len(rows) * self._width)
        self._entries = np.empty((len(rows) * self._width, 2), dtype=np.int32)
        for number, weights in enumerate(rows):
            part = slice(number * self._width, (number + 1) * self._width)
            self._cut[part], self._entries[part, 0], self._entries[part, 1] = _alias(weights, self._width)
        self._flat = self._entries.reshape(-1)

    def draw(self, row: NDArray[np.integer], uniform: Floats) -> NDArray[np.int32]:
        """One entry's index in its row, for each (row, uniform in [0, 1))."""
        scaled = uniform * self._width
        column = scaled.astype(np.int32)
        scaled -= column
        column += row * np.int32(self._width)
        missed = scaled >= self._cut[column]
        column <<= 1
        column += missed
        return self._flat[column]


def _alias(weights: NDArray[np.float64], width: int) -> tuple[NDArray, NDArray, NDArray]:
    """(cut, own entry, alias entry) for `width` columns; those past the weights only have an alias."""
    total = weights.sum()
    if not (total > 0 and np.isfinite(total) and (weights >= 0).all()):
        raise ValueError("weights must be finite, not negative, and not all zero")
    share = np.zeros(width)
    share[: len(weights)] = weights * (width / total)
    cut = share.tolist()
    own = np.minimum(np.arange(width, dtype=np.int32), len(weights) - 1)
    alias = own.copy()
    small = [i for i in range(width) if cut[i] < 1.0]
    large = [i for i in range(width) if cut[i] >= 1.0]
    while small and large:
        short, tall = small.pop(), large[-1]
        alias[short] = tall
        cut[tall] -= 1.0 - cut[short]
        if cut[tall] < 1.0:
            small.append(large.pop())
    heaviest = int(weights.argmax())
    for left in small:  # rounding: what stays is 1 but for an ulp, unless it has no weight at all
        if share[left] == 0.0:
            alias[left] = heaviest
        else:
            cut[left] = 1.0
    for left in large:
        cut[left] = 1.0
    return np.asarray(cut), own, alias
