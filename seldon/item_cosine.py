"""Item-to-item cosine from interactions, learned in seconds at start; for more, train SAR."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seldon.errors import InvalidSetting
from seldon.interactions import Interactions, Vocabulary

MAX_HISTORY = 100
MAX_PAIRS = 200_000_000
PAIRS_AT_A_TIME = 2_000_000
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Neighbours:
    """For each item those most similar to it, as rows of a CSR matrix.

    Attributes
    ----------
    items : Vocabulary
        Of integer ids.
    offsets : ndarray of int64, shape (n_items + 1,)
    columns : ndarray of int32, shape (n_neighbours,)
        Positions in `items`, best first within a row.
    similarity : ndarray of float32, shape (n_neighbours,)
        0 to 1.
    """

    items: Vocabulary
    offsets: Ints
    columns: npt.NDArray[np.int32]
    similarity: npt.NDArray[np.float32]


def item_cosine(interactions: Interactions, most: int = 100) -> Neighbours:
    """Cosine of the sets of users of two items: ``|A ∩ B| / √(|A| · |B|)``.

    Parameters
    ----------
    interactions : Interactions
        With integer item ids. Of each user the latest 100 distinct items count.
    most : int
        Neighbours kept of each item; of equal ones those with the smaller id.

    Raises
    ------
    InvalidSetting
        More than 200 million pairs would have to be counted at every start.
    """
    items = integer_vocabulary(interactions)
    position = items.indices(interactions.items.ids.astype(np.int64))
    user, item = _latest_distinct(interactions, position)
    sizes = np.bincount(user)
    pairs = int((sizes.astype(np.int64) ** 2).sum())
    if pairs > MAX_PAIRS:
        raise InvalidSetting(
            f"INTERACTIONS has {pairs:,} item pairs, too many to count at every start; train "
            "with `python -m seldon.sar train` and set RECOMMENDER_ALG='saved_recommender'"
        )
    by_user = np.concatenate(([0], np.cumsum(sizes)))
    order = np.lexsort((user, item))
    occurrences = np.bincount(item, minlength=len(items))
    by_item = np.concatenate(([0], np.cumsum(occurrences)))
    rows = []
    for first, last in _blocks(sizes[user[order]], by_item):
        users = user[order[by_item[first] : by_item[last]]]
        reach = sizes[users]
        column = item[_ranges(by_user[users], reach)]
        row = np.repeat(item[order[by_item[first] : by_item[last]]], reach)
        key, count = _counted(row * len(items) + column)
        rows.append(_best(key // len(items), key % len(items), count, occurrences, most))
    row, column, similarity = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    offsets = np.searchsorted(row, np.arange(len(items) + 1))
    return Neighbours(items, offsets, column.astype(np.int32), similarity.astype(np.float32))


def integer_vocabulary(interactions: Interactions) -> Vocabulary:
    """The item ids as integers, which is what the Seldon server asks with.

    Raises
    ------
    InvalidSetting
        There are no events, or an id is not an integer.
    """
    ids = interactions.items.ids
    if not len(ids):
        raise InvalidSetting("INTERACTIONS holds no event that can be read")
    try:
        return Vocabulary(ids.astype(np.int64))
    except (ValueError, OverflowError):
        wrong = next(i for i in ids.tolist() if not str(i).lstrip("-").isdigit())
        raise InvalidSetting(
            f"INTERACTIONS: item id {wrong!r} is not an integer; the Seldon server asks with "
            "the internal ids of its database"
        ) from None


def _latest_distinct(interactions: Interactions, position: Ints) -> tuple[Ints, Ints]:
    """User and item of each user's latest distinct items, sorted by user."""
    user, item = interactions.user.astype(np.int64), position[interactions.item]
    latest = np.lexsort((-interactions.time, item, user))
    user, item, time = user[latest], item[latest], interactions.time[latest]
    new = np.ones(len(user), np.bool_)
    new[1:] = (user[1:] != user[:-1]) | (item[1:] != item[:-1])
    user, item, time = user[new], item[new], time[new]
    order = np.lexsort((-time, user))
    user, item = user[order], item[order]
    begins = np.searchsorted(user, user)
    kept = np.arange(len(user)) - begins < MAX_HISTORY
    user, item = user[kept], item[kept]
    return np.unique(user, return_inverse=True)[1], item


def _blocks(work: Ints, by_item: Ints) -> Iterator[tuple[int, int]]:
    """Ranges of items that meet about `PAIRS_AT_A_TIME` pairs."""
    total = np.concatenate(([0], np.cumsum(work)))[by_item]
    first, n_items = 0, len(by_item) - 1
    while first < n_items:
        last = int(np.searchsorted(total, total[first] + PAIRS_AT_A_TIME, "right")) - 1
        last = min(max(last, first + 1), n_items)
        yield first, last
        first = last


def _ranges(starts: Ints, lengths: Ints) -> Ints:
    """``arange(start, start + length)`` of each, one after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    within: Ints = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
    return within


def _counted(keys: Ints) -> tuple[Ints, Ints]:
    """Distinct keys, rising, and how often each occurs; `np.unique` takes four times as long."""
    keys.sort()
    begins = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return keys[begins], np.diff(begins, append=len(keys))


def _best(
    row: Ints, column: Ints, count: Ints, occurrences: Ints, most: int
) -> tuple[Ints, Ints, npt.NDArray[np.float64]]:
    other = row != column
    row, column, count = row[other], column[other], count[other]
    similarity = count / np.sqrt(occurrences[row] * occurrences[column])
    order = np.lexsort((column, -similarity, row))
    row, column, similarity = row[order], column[order], similarity[order]
    kept = np.arange(len(row)) - np.searchsorted(row, row) < most
    return row[kept], column[kept], similarity[kept]
