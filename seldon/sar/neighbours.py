"""From counts to a similarity matrix: all neighbours, or the best few of each item."""

from __future__ import annotations

import threading

import numpy as np

from seldon.sar import kernels
from seldon.sar.counting import Block, ByPopularity, Ints, Longs, PairCounts, Told
from seldon.sar.parameters import SimilarityFunction
from seldon.sar.similarity import SIMILARITIES, Floats, Similarity

FUNCTIONS: tuple[SimilarityFunction, ...] = ("Jaccard", "Lift", "Cooccurrence")
"""In the numbering of `kernels.pair_value`."""
ROWS_AT_ONCE = 1024


def item_similarity(
    counts: PairCounts, function: SimilarityFunction, threshold: int, neighbours: int | None = None
) -> Similarity:
    """Similarity of all pairs in at least `threshold` baskets.

    The threshold goes by the count of the pair, and on the diagonal by that of the item.

    Parameters
    ----------
    counts : PairCounts
        Counted with a threshold that is not above this one.
    function : str
    threshold : int
    neighbours : int, optional
        Keep only so many of each item's most similar; of equal ones those with the smaller
        item number.
    """
    offsets, columns, numbers = counts.offsets, counts.columns, counts.counts
    if len(numbers) and numbers.min() < threshold:
        kept = numbers >= threshold
        offsets = np.concatenate([[0], np.cumsum(kept)])[offsets]
        columns, numbers = columns[kept], numbers[kept]
    code = FUNCTIONS.index(function)
    occurrences = counts.occurrences
    diagonal = _diagonal(occurrences, function, threshold)
    if neighbours is None:
        values = kernels.pair_values(code, 0, offsets, columns, numbers, occurrences)
        return Similarity(*kernels.both_ways(offsets, columns, values, diagonal))
    order = np.arange(len(occurrences), dtype=np.int32)
    lists = _Lists(code, occurrences, order, neighbours)
    for first in range(0, len(occurrences), ROWS_AT_ONCE):
        part = offsets[first : first + ROWS_AT_ONCE + 1]
        inside = slice(int(part[0]), int(part[-1]))
        lists.offer(Block(first, part - part[0], columns[inside], numbers[inside]))
    return lists.similarity(diagonal)


def nearest_neighbours(
    prepared: ByPopularity,
    function: SimilarityFunction,
    threshold: int,
    neighbours: int,
    told: Told | None = None,
) -> Similarity:
    """`item_similarity` of the best few, straight from baskets: counts are never all in memory."""
    code = FUNCTIONS.index(function)
    lists = _Lists(code, prepared.occurrences, prepared.order, neighbours)
    for _ in prepared.blocks(threshold, lists.offer, told):
        pass
    return lists.similarity(_diagonal(prepared.by_item, function, threshold))


def _diagonal(occurrences: Longs, function: SimilarityFunction, threshold: int) -> Floats:
    diagonal = np.zeros(len(occurrences))
    warm = occurrences >= threshold
    count = occurrences[warm]
    diagonal[warm] = SIMILARITIES[function](count, count, count)
    return diagonal


class _Lists:
    """The best neighbours of each item so far; several threads may offer more."""

    def __init__(self, function: int, occurrences: Longs, order: Ints, neighbours: int) -> None:
        n_items = len(order)
        neighbours = min(neighbours, max(n_items - 1, 1))
        self._function, self._occurrences, self._order = function, occurrences, order
        self._sizes = np.zeros(n_items, np.int64)
        # Pages of memory that no list reaches are never touched, so they cost nothing.
        self._best = np.empty((n_items, neighbours))
        self._items = np.empty((n_items, neighbours), np.int32)
        self._worst = np.full(n_items, -np.inf)
        self._lock = threading.Lock()

    def offer(self, block: Block) -> None:
        """Take counted pairs, numbered as `occurrences` and `order` are."""
        most = 2 * len(block.columns)
        rows, items = np.empty(most, np.int32), np.empty(most, np.int32)
        values = np.empty(most)
        filled = kernels.shortlist(
            self._function, block.first, block.offsets, block.columns, block.counts,
            self._occurrences, self._order, self._worst, self._best.shape[1], rows, items, values,
        )  # fmt: skip
        with self._lock:
            kernels.insert(
                rows[:filled], items[:filled], values[:filled],
                self._sizes, self._best, self._items, self._worst,
            )  # fmt: skip

    def similarity(self, diagonal: Floats) -> Similarity:
        listed = kernels.listed(self._sizes, self._best, self._items, diagonal)
        return Similarity(*kernels.transposed(*kernels.transposed(*listed)))
