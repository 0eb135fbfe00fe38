"""The compiled loops of training; imported by nothing that serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """Compile at the first call and keep the result on disk, if there is a place for it.

    Threads are the caller's, not numba's own: such kernels compile in a fraction of the time.
    A kernel releases the interpreter lock and touches only what it is handed.
    """
    try:
        kernel: Any = njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no folder it may write its cache to
        kernel = njit(nogil=True)(function)
    return cast(Kernel, kernel)


@compiled
def distinct_by_item(item: Any, owner: Any, n_items: int, n_owners: int) -> Any:
    """The distinct owners of each item's events: offsets of shape (n_items + 1,), and owners."""
    offsets = np.zeros(n_items + 1, np.int64)
    for n in item:
        offsets[n + 1] += 1
    for n in range(n_items):
        offsets[n + 1] += offsets[n]
    cursor = offsets[:-1].copy()
    owners = np.empty(len(owner), np.int32)
    for n in range(len(item)):
        owners[cursor[item[n]]] = owner[n]
        cursor[item[n]] += 1
    last = np.full(n_owners, -1, np.int32)
    kept = 0
    start = 0
    for n in range(n_items):
        end = offsets[n + 1]
        for at in range(start, end):
            if last[owners[at]] != n:
                last[owners[at]] = n
                owners[kept] = owners[at]
                kept += 1
        start = end
        offsets[n + 1] = kept
    return offsets, owners[:kept]


@compiled
def arrange(
    order: Any, offsets: Any, owners: Any, n_owners: int, items: Any, begins: Any, ends: Any
) -> Any:
    """Baskets with their items in `order`, and where each item stands in them.

    Fills, all of the shape of `owners`: `items`, basket after basket, the places of items in
    `order`; and, item after item in that order, `begins` and `ends`, the beginning of each of
    its baskets and its own place in it. Returns the offsets of the latter, and for each item
    the sum of its ``ends - begins``.
    """
    n = len(order)
    begin = np.zeros(n_owners + 1, np.int64)
    for owner in owners:
        begin[owner + 1] += 1
    for owner in range(n_owners):
        begin[owner + 1] += begin[owner]
    cursor = begin[:-1].copy()
    starts = np.zeros(n + 1, np.int64)
    work = np.zeros(n, np.int64)
    at = 0
    for place in range(n):
        for source in range(offsets[order[place]], offsets[order[place] + 1]):
            owner = owners[source]
            items[cursor[owner]] = place
            begins[at] = begin[owner]
            ends[at] = cursor[owner]
            work[place] += cursor[owner] - begin[owner]
            cursor[owner] += 1
            at += 1
        starts[place + 1] = at
    return starts, work


@compiled
def count_rows(
    first: int,
    last: int,
    starts: Any,
    begins: Any,
    ends: Any,
    items: Any,
    work: Any,
    threshold: int,
    tally: Any,
    seen: Any,
    sizes: Any,
    columns: Any,
    counts: Any,
) -> int:
    """Baskets that item `row` shares with each item before it, for rows first ≤ row < last.

    Items are numbered by falling popularity, so that the tally of a row is a short stretch
    whose beginning is hit most. Pairs under the threshold are left out. `tally` (all zero) and
    `seen` are scratch, `sizes` takes the pairs of each row, `columns` and `counts` the pairs.
    Returns the number of pairs.
    """
    filled = 0
    for row in range(first, last):
        before = filled
        if work[row] * 4 < row:
            n_seen = 0
            for at in range(starts[row], starts[row + 1]):
                for place in range(begins[at], ends[at]):
                    item = items[place]
                    if tally[item] == 0:
                        seen[n_seen] = item
                        n_seen += 1
                    tally[item] += 1
            for n in range(n_seen):
                item = seen[n]
                if tally[item] >= threshold:
                    columns[filled] = item
                    counts[filled] = tally[item]
                    filled += 1
                tally[item] = 0
        else:
            for at in range(starts[row], starts[row + 1]):
                for place in range(begins[at], ends[at]):
                    tally[items[place]] += 1
            for item in range(row):
                if tally[item] >= threshold:
                    columns[filled] = item
                    counts[filled] = tally[item]
                    filled += 1
                tally[item] = 0
        sizes[row - first] = filled - before
    return filled


@compiled
def both_ways(offsets: Any, columns: Any, values: Any, diagonal: Any) -> Any:
    """A symmetric matrix from what stands before its diagonal, and the diagonal.

    A diagonal entry that is not above zero is left out. Returns offsets, columns, values.
    """
    n = len(offsets) - 1
    full = np.zeros(n + 1, np.int64)
    for row in range(n):
        full[row + 1] += offsets[row + 1] - offsets[row] + (1 if diagonal[row] > 0 else 0)
        for at in range(offsets[row], offsets[row + 1]):
            full[columns[at] + 1] += 1
    for row in range(n):
        full[row + 1] += full[row]
    cursor = full[:-1].copy()
    out_columns = np.empty(full[n], np.int32)
    out_values = np.empty(full[n], np.float64)
    for row in range(n):
        for at in range(offsets[row], offsets[row + 1]):
            out_columns[cursor[row]] = columns[at]
            out_values[cursor[row]] = values[at]
            cursor[row] += 1
        if diagonal[row] > 0:
            out_columns[cursor[row]] = row
            out_values[cursor[row]] = diagonal[row]
            cursor[row] += 1
        for at in range(offsets[row], offsets[row + 1]):
            column = columns[at]
            out_columns[cursor[column]] = row
            out_values[cursor[column]] = values[at]
            cursor[column] += 1
    return full, out_columns, out_values


@compiled
def by_item_number(offsets: Any, columns: Any, counts: Any, order: Any) -> Any:
    """Pairs numbered by popularity to pairs numbered by `order`, again before the diagonal.

    Two passes of placing by counting, so that the columns of each row rise without a sort.
    Returns offsets, columns, counts.
    """
    n = len(order)
    heads = np.zeros(n + 1, np.int64)
    tails = np.zeros(n + 1, np.int64)
    for row in range(n):
        for at in range(offsets[row], offsets[row + 1]):
            one, other = order[row], order[columns[at]]
            heads[min(one, other) + 1] += 1
            tails[max(one, other) + 1] += 1
    for row in range(n):
        heads[row + 1] += heads[row]
        tails[row + 1] += tails[row]
    cursor = heads[:-1].copy()
    larger = np.empty(len(columns), np.int32)
    number = np.empty(len(columns), np.int32)
    for row in range(n):
        for at in range(offsets[row], offsets[row + 1]):
            one, other = order[row], order[columns[at]]
            place = cursor[min(one, other)]
            larger[place] = max(one, other)
            number[place] = counts[at]
            cursor[min(one, other)] += 1
    cursor = tails[:-1].copy()
    out_columns = np.empty(len(columns), np.int32)
    out_counts = np.empty(len(columns), np.int32)
    for item in range(n):
        for at in range(heads[item], heads[item + 1]):
            place = cursor[larger[at]]
            out_columns[place] = item
            out_counts[place] = number[at]
            cursor[larger[at]] += 1
    return tails, out_columns, out_counts


@compiled
def pair_value(function: int, both: int, one: int, other: int) -> float:
    """Similarity of a pair; `function` is a position in `SIMILARITY_NAMES`."""
    if function == 0:
        return both / (one + other - both)
    if function == 1:
        return both / (float(one) * float(other))
    return float(both)


@compiled
def pair_values(
    function: int, first: int, offsets: Any, columns: Any, counts: Any, occurrences: Any
) -> Any:
    """Similarity of each counted pair; the rows begin with number `first`."""
    out = np.empty(len(columns), np.float64)
    for row in range(len(offsets) - 1):
        for at in range(offsets[row], offsets[row + 1]):
            one, other = occurrences[first + row], occurrences[columns[at]]
            out[at] = pair_value(function, counts[at], one, other)
    return out


@compiled
def kept_best(heap: Any, heap_item: Any, size: int, value: float, item: int) -> int:
    """Put a neighbour into a list that keeps the best ``len(heap)``; returns its new size.

    The list is a heap whose root is the worst. Of equal values the larger item number is the
    worse.
    """
    limit = len(heap)
    if size < limit:
        at = size
        while at > 0:
            parent = (at - 1) // 2
            above, above_item = heap[parent], heap_item[parent]
            if above < value or (above == value and above_item > item):
                break
            heap[at], heap_item[at] = above, above_item
            at = parent
        heap[at], heap_item[at] = value, item
        return size + 1
    if heap[0] > value or (heap[0] == value and heap_item[0] <= item):
        return size
    at = 0
    while True:
        child = 2 * at + 1
        if child >= limit:
            break
        if child + 1 < limit and (
            heap[child + 1] < heap[child]
            or (heap[child + 1] == heap[child] and heap_item[child + 1] > heap_item[child])
        ):
            child += 1
        if value < heap[child] or (value == heap[child] and item > heap_item[child]):
            break
        heap[at], heap_item[at] = heap[child], heap_item[child]
        at = child
    heap[at], heap_item[at] = value, item
    return size


@compiled
def shortlist(
    function: int, first: int, offsets: Any, columns: Any, counts: Any, occurrences: Any,
    order: Any, worst: Any, limit: int, rows: Any, items: Any, values: Any,
) -> int:  # fmt: skip
    """Pairs that may enter either item's list of best neighbours, both ways round.

    Of a row's own pairs only the best `limit` go on. For the other way `worst` holds the last
    value of each full list. Another thread may be raising it; one that is out of date only lets
    more through. Each row is gone through from its end: with items numbered by popularity,
    those most like it in popularity come first, and most of the rest then fall short.
    """
    best, best_item = np.empty(limit), np.empty(limit, np.int32)
    filled = 0
    for row in range(len(offsets) - 1):
        one, occurs = order[first + row], occurrences[first + row]
        size = 0
        for at in range(offsets[row + 1] - 1, offsets[row] - 1, -1):
            other = order[columns[at]]
            value = pair_value(function, counts[at], occurs, occurrences[columns[at]])
            size = kept_best(best, best_item, size, value, other)
            if value >= worst[other]:
                rows[filled], items[filled], values[filled] = other, one, value
                filled += 1
        for n in range(size):
            rows[filled], items[filled], values[filled] = one, best_item[n], best[n]
            filled += 1
    return filled


@compiled
def insert(
    rows: Any, items: Any, values: Any, sizes: Any, best: Any, best_item: Any, worst: Any
) -> None:  # fmt: skip
    """Put shortlisted neighbours into the lists."""
    limit = best.shape[1]
    for n in range(len(rows)):
        row = rows[n]
        sizes[row] = kept_best(best[row], best_item[row], sizes[row], values[n], items[n])
        if sizes[row] == limit:
            worst[row] = best[row, 0]


@compiled
def listed(sizes: Any, best: Any, best_item: Any, diagonal: Any) -> Any:
    """The lists of best neighbours, and the diagonal, as rows: offsets, columns, values."""
    n = len(sizes)
    offsets = np.zeros(n + 1, np.int64)
    for row in range(n):
        offsets[row + 1] = offsets[row] + sizes[row] + (1 if diagonal[row] > 0 else 0)
    columns = np.empty(offsets[n], np.int32)
    values = np.empty(offsets[n], np.float64)
    for row in range(n):
        start = offsets[row]
        for at in range(sizes[row]):
            columns[start + at] = best_item[row, at]
            values[start + at] = best[row, at]
        if diagonal[row] > 0:
            columns[offsets[row + 1] - 1] = row
            values[offsets[row + 1] - 1] = diagonal[row]
    return offsets, columns, values


@compiled
def transposed(offsets: Any, columns: Any, values: Any) -> Any:
    """Rows to columns; the new columns rise, so doing it twice sorts each row."""
    n = len(offsets) - 1
    turned = np.zeros(n + 1, np.int64)
    for column in columns:
        turned[column + 1] += 1
    for row in range(n):
        turned[row + 1] += turned[row]
    cursor = turned[:-1].copy()
    out_columns = np.empty(len(columns), np.int32)
    out_values = np.empty(len(columns), np.float64)
    for row in range(n):
        for at in range(offsets[row], offsets[row + 1]):
            place = cursor[columns[at]]
            out_columns[place] = row
            out_values[place] = values[at]
            cursor[columns[at]] += 1
    return turned, out_columns, out_values
