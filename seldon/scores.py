"""Ranking: the best of many scores without sorting everything."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from seldon.candidates import Ids

Scores = npt.NDArray[np.floating[Any]]


def top_n(ids: Ids, scores: Scores, limit: int) -> tuple[Ids, Scores]:
    """The `limit` best, best first; equal scores by rising id.

    Parameters
    ----------
    ids : ndarray of int64, shape (n,)
    scores : ndarray of float, shape (n,)
        No NaN.
    limit : int
        At least 1.
    """
    if len(scores) > limit:
        # Everything at or above the limit-th best score, so that ties at the edge go by id.
        edge = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        kept = np.flatnonzero(scores >= edge)
        ids, scores = ids[kept], scores[kept]
    order = np.lexsort((ids, -scores))[:limit]
    return ids[order], scores[order]


def summed(
    places: npt.NDArray[np.integer[Any]], values: Scores, size: int
) -> tuple[npt.NDArray[np.integer[Any]], Scores]:
    """The sum of the values at each distinct place, without sorting or touching all places.

    Parameters
    ----------
    places : ndarray of int, shape (n,)
        0 to `size` - 1, repeated or not.
    values : ndarray of float, shape (n,)
    size : int

    Returns
    -------
    distinct, sums : ndarray
        In no particular order.
    """
    order = np.arange(len(places), dtype=np.int32)
    last = np.empty(size, np.int32)  # only what is written here is read again
    last[places] = order
    slots = last[places]
    own = np.flatnonzero(slots == order)
    return places[own], np.asarray(np.bincount(slots, values)[own], np.float64)
