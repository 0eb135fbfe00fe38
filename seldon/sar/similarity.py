"""Item similarity as sparse rows, and how it follows from counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Similarity:
    """A symmetric matrix as compressed sparse rows, the diagonal included.

    Attributes
    ----------
    indptr : ndarray of int64, shape (n_items + 1,)
    columns : ndarray of int32, shape (n_stored,)
        Rising within a row.
    values : ndarray of float64, shape (n_stored,)
    """

    indptr: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int32]
    values: Floats

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __repr__(self) -> str:
        return f"Similarity({len(self)} items, {len(self.columns)} entries)"

    def row(self, item: int) -> tuple[npt.NDArray[np.int32], Floats]:
        """Columns and values of one item's row."""
        part = slice(int(self.indptr[item]), int(self.indptr[item + 1]))
        return self.columns[part], self.values[part]

    def dense(self) -> Floats:
        """The whole matrix, for small models and tests."""
        out = np.zeros((len(self), len(self)))
        out[np.repeat(np.arange(len(self)), np.diff(self.indptr)), self.columns] = self.values
        return out


def jaccard(both: Counts, one: Counts, other: Counts) -> Floats:
    """c(i, j) / (occ(i) + occ(j) - c(i, j))."""
    return np.asarray(both / (one + other - both), np.float64)


def lift(both: Counts, one: Counts, other: Counts) -> Floats:
    """c(i, j) / (occ(i) occ(j)); not multiplied by the number of baskets."""
    return np.asarray(both / (one.astype(np.float64) * other), np.float64)


def cooccurrence(both: Counts, one: Counts, other: Counts) -> Floats:
    """c(i, j)."""
    return np.asarray(both, np.float64)


SIMILARITIES: Mapping[str, Callable[[Counts, Counts, Counts], Floats]] = {
    "Jaccard": jaccard,
    "Lift": lift,
    "Cooccurrence": cooccurrence,
}
"""Values for pairs, from the baskets that hold both items, the one, and the other."""
