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
