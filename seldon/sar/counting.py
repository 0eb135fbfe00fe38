"""Who was bought together: baskets, and how many of them hold each pair of items."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from seldon.errors import TooLarge
from seldon.interactions import Interactions
from seldon.sar import kernels
from seldon.sar.parameters import CooccurrenceUnit

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Told = Callable[[float], None]
"""Told the share of the work that is done, 0 to 1."""
T = TypeVar("T")

PAIRS_PER_BLOCK = 100_000


@dataclass(frozen=True)
class Baskets:
    """Which baskets hold which item.

    Attributes
    ----------
    offsets : ndarray of int64, shape (n_items + 1,)
    owners : ndarray of int32, shape (n_places,)
        For each item the distinct baskets that hold it.
    n_baskets : int
    """

    offsets: Longs
    owners: Ints
    n_baskets: int

    @property
    def occurrences(self) -> Longs:
        """Baskets that hold each item, shape (n_items,)."""
        return np.diff(self.offsets)


def baskets(interactions: Interactions, unit: CooccurrenceUnit) -> Baskets:
    """Group events by user, or by user and exact time."""
    owner, n_owners = interactions.user, len(interactions.users)
    if unit == "Timestamp":
        owner, n_owners = _visits(interactions)
    n_items = len(interactions.items)
    offsets, owners = kernels.distinct_by_item(interactions.item, owner, n_items, n_owners)
    return Baskets(offsets, owners, n_owners)


def _visits(interactions: Interactions) -> tuple[Ints, int]:
    """Number of each event's distinct (user, time)."""
    order = np.lexsort((interactions.time, interactions.user))
    user, time = interactions.user[order], interactions.time[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (user[1:] != user[:-1]) | (time[1:] != time[:-1])
    number = np.empty(len(order), np.int32)
    number[order] = np.cumsum(new) - 1
    return number, int(new.sum())


@dataclass(frozen=True)
class PairCounts:
    """Baskets that hold both items of a pair.

    Attributes
    ----------
    occurrences : ndarray of int64, shape (n_items,)
        Baskets that hold each item.
    offsets : ndarray of int64, shape (n_items + 1,)
    columns : ndarray of int32, shape (n_pairs,)
        For each item, those with a smaller number that share a basket with it; rising.
    counts : ndarray of int32, shape (n_pairs,)
    """

    occurrences: Longs
    offsets: Longs
    columns: Ints
    counts: Ints

    def __len__(self) -> int:
        return len(self.columns)


@dataclass(frozen=True)
class Block:
    """Counted pairs of the items ``first``, ``first + 1``, … in the numbering of `ByPopularity`."""

    first: int
    offsets: Longs
    columns: Ints
    counts: Ints


def _as_it_is(block: Block) -> Block:
    return block


class ByPopularity:
    """Baskets prepared for counting: items numbered by falling popularity.

    Attributes
    ----------
    order : ndarray of int32, shape (n_items,)
        The item that has each number.
    occurrences : ndarray of int64, shape (n_items,)
        Baskets that hold each item, by number; `by_item` in the order of the items.
    n_baskets, places : int
        Baskets, and the distinct items of all of them.
    work : ndarray of int64, shape (n_items,)
        Pairs met while an item's row is counted; their sum is Σ basket (basket - 1) / 2.
    """

    def __init__(self, source: Baskets) -> None:
        self.order = np.argsort(-source.occurrences, kind="stable").astype(np.int32)
        self.by_item = source.occurrences
        self.occurrences = source.occurrences[self.order]
        self.n_baskets, self.places = source.n_baskets, len(source.owners)
        places = np.int32 if len(source.owners) < 2**31 else np.int64
        self._items = np.empty(len(source.owners), np.int32)
        self._begins = np.empty(len(source.owners), places)
        self._ends = np.empty(len(source.owners), places)
        starts, work = kernels.arrange(
            self.order, source.offsets, source.owners, source.n_baskets,
            self._items, self._begins, self._ends,
        )  # fmt: skip
        self._starts: Longs = starts
        self.work: Longs = work

    @property
    def bounds(self) -> Longs:
        """At most this many pairs can come of each row."""
        return np.minimum(self.work, np.arange(len(self.work)))

    def count(self, first: int, last: int, threshold: int, scratch: Scratch) -> Block:
        """Count the rows first ≤ row < last."""
        sizes = np.zeros(last - first, np.int64)
        filled = kernels.count_rows(
            first, last, self._starts, self._begins, self._ends, self._items, self.work,
            threshold, scratch.tally, scratch.seen, sizes, scratch.columns, scratch.counts,
        )  # fmt: skip
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        return Block(
            first, offsets, scratch.columns[:filled].copy(), scratch.counts[:filled].copy()
        )

    def blocks(
        self, threshold: int, then: Callable[[Block], T], told: Told | None = None
    ) -> Iterator[T]:
        """Count all rows on every core, and hand over what comes of each block, in order.

        Parameters
        ----------
        threshold : int
            Pairs in fewer baskets are left out.
        then : callable
            What to do with a block while it is still in its thread.
        told : callable, optional
        """
        cuts = _cuts(self.bounds, PAIRS_PER_BLOCK)
        done = np.cumsum(self.work)
        largest = max((int(self.bounds[a:b].sum()) for a, b in pairwise(cuts)), default=0)
        spare = deque(Scratch(len(self.order), largest) for _ in range(cores()))

        def run(cut: int) -> T:
            scratch = spare.pop()
            try:
                return then(self.count(cuts[cut], cuts[cut + 1], threshold, scratch))
            finally:
                spare.append(scratch)

        # A few blocks ahead, not all: what is counted waits in memory until it is taken.
        with ThreadPoolExecutor(cores()) as pool:
            ahead: deque[Future[T]] = deque()
            for cut in range(len(cuts) - 1):
                ahead.append(pool.submit(run, cut))
                if len(ahead) > 2 * cores():
                    yield ahead.popleft().result()
                    if told is not None:
                        told(done[cuts[cut - len(ahead) + 1]] / max(done[-1], 1))
            while ahead:
                yield ahead.popleft().result()
        if told is not None:
            told(1.0)


class Scratch:
    """What one thread needs while it counts blocks of at most so many pairs."""

    def __init__(self, n_items: int, pairs: int) -> None:
        self.tally = np.zeros(n_items, np.int32)
        self.seen = np.empty(n_items, np.int32)
        self.columns = np.empty(pairs, np.int32)
        self.counts = np.empty(pairs, np.int32)


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0))


def _cuts(bounds: Longs, pairs: int) -> list[int]:
    """Row numbers that part the rows into blocks of at most about so many pairs."""
    total = np.cumsum(bounds)
    cuts = [0]
    while cuts[-1] < len(bounds):
        done = int(total[cuts[-1] - 1]) if cuts[-1] else 0
        after = int(np.searchsorted(total, done + pairs, side="right"))
        cuts.append(min(max(after, cuts[-1] + 1), len(bounds)))
    return cuts


def count_pairs(
    prepared: ByPopularity,
    threshold: int = 1,
    *,
    memory: int | None = None,
    told: Told | None = None,
) -> PairCounts:
    """Count every pair that is in at least `threshold` baskets.

    Parameters
    ----------
    memory : int, optional
        Bytes the pairs may take; more raises `TooLarge` as soon as it is seen.
    """
    blocks: list[Block] = []
    pairs = 0
    for block in prepared.blocks(threshold, _as_it_is, told):
        blocks.append(block)
        pairs += len(block.columns)
        if memory is not None and pairs * BYTES_PER_COUNT > memory:
            raise TooLarge(
                f"{pairs:,} pairs after {block.first + len(block.offsets) - 1:,} of "
                f"{len(prepared.order):,} items need more than the "
                f"{memory / 2**30:.1f} GiB there are; raise the support threshold, "
                "or keep only some neighbours of each item"
            )
    sizes = [np.diff(block.offsets) for block in blocks]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([*sizes, np.empty(0, np.int64)]))])
    columns = np.concatenate([*(block.columns for block in blocks), np.empty(0, np.int32)])
    counts = np.concatenate([*(block.counts for block in blocks), np.empty(0, np.int32)])
    del blocks
    return PairCounts(
        prepared.by_item,
        *kernels.by_item_number(offsets.astype(np.int64), columns, counts, prepared.order),
    )


BYTES_PER_COUNT = 24
"""Peak of one counted pair: its column and count, three times over while they are sorted."""
