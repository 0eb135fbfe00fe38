"""Ranking metrics, one value a user, and what their averages are worth.

Two shapes run through this module. *Lists*: item indices, shape (n_users, n), best first, ``-1``
where a list is shorter. *Hits*: bool or 0/1 of the same shape, true where the item at that rank is
relevant; `hits_of_lists` and `hits_by_score` make them. A metric of hits answers one value per
user, so that `mean_intervals` and `compare` can resample users. "Relevant" is the number of
relevant items of each user, shape (n_users,); a user with none gets 0, not NaN.

Sources: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS
20(4), 2002 (nDCG); Manning, Raghavan and Schütze, "Introduction to Information Retrieval", 2008,
chapter 8 (precision, recall, MAP); Voorhees, "The TREC-8 question answering track report", 1999
(reciprocal rank); Zhou et al., PNAS 107(10), 2010 (novelty as self-information).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seldon.errors import InvalidParameter

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

# --- what was hit -------------------------------------------------------------------------------


def hits_of_lists(lists: Array, user: Array, item: Array) -> npt.NDArray[np.bool_]:
    """Which entries of recommendation lists are relevant.

    Parameters
    ----------
    lists : ndarray of int, shape (n_users, n)
        Item indices, best first, ``-1`` where a list is shorter.
    user, item : ndarray of int, shape (n_pairs,)
        Relevant pairs: row of `lists`, item index. Repeats and negative items count for nothing.
    """
    width = 1 + max(int(item.max(initial=0)), int(lists.max(initial=0)))
    known = item >= 0
    relevant = np.unique(user[known].astype(np.int64) * width + item[known])
    wanted = np.arange(len(lists), dtype=np.int64)[:, None] * width + lists
    found: npt.NDArray[np.bool_] = np.isin(wanted, relevant) & (lists >= 0)
    return found


def hits_by_score(labels: Array, scores: Array) -> Array:
    """Labels of each group in falling order of their scores.

    Equal scores go from the last column to the first. With the positive in the first column a tie
    therefore counts against it, and a constant scorer looks as poor as it is.

    Parameters
    ----------
    labels, scores : ndarray, shape (n_groups, n)
    """
    order = np.argsort(scores, axis=1, kind="stable")[:, ::-1]
    return np.take_along_axis(labels, order, axis=1)


# --- one value per user, from hits ---------------------------------------------------------------


def precision(hits: Array, k: int) -> Floats:
    """``hits in the first k / k``; a shorter list is not excused. Shape (n_users,), 0 to 1."""
    counted: Floats = hits[:, :k].sum(1) / k
    return counted


def recall(hits: Array, relevant: Array, k: int) -> Floats:
    """``hits in the first k / relevant items of the user``. Shape (n_users,), 0 to 1."""
    counted: Floats = hits[:, :k].sum(1) / np.maximum(relevant, 1)
    return counted


def hit_rate(hits: Array, k: int) -> Floats:
    """1 where any of the first k is relevant, else 0. Shape (n_users,)."""
    found: Array = np.asarray(hits[:, :k].any(1))
    return found.astype(np.float64)


def average_precision(hits: Array, relevant: Array, k: int, *, attainable: bool = False) -> Floats:
    """``Σ over hits at rank r ≤ k of precision@r``, divided by the number of relevant items.

    Parameters
    ----------
    attainable : bool
        Divide by ``min(relevant, k)``, the number a list of k can hit, as Kaggle and
        ``map_at_k`` of the ``recommenders`` package do; its ``map`` divides by all of them.
    """
    first = hits[:, :k]
    at_rank = np.cumsum(first, axis=1) / np.arange(1, first.shape[1] + 1)
    best = np.minimum(relevant, k) if attainable else relevant
    averaged: Floats = (at_rank * first).sum(1) / np.maximum(best, 1)
    return averaged


def ndcg(hits: Array, relevant: Array, k: int) -> Floats:
    """``Σ over ranks r ≤ k of (2^hit − 1) / log2(r + 1)``, divided by that of the ideal order.

    The ideal order has ``min(relevant, k)`` hits in front. Shape (n_users,), 0 to 1.
    """
    discount = 1 / np.log2(np.arange(2, k + 2))
    first = hits[:, :k]
    ideal = np.concatenate([[1.0], np.cumsum(discount)])[np.clip(relevant, 0, k).astype(int)]
    gained: Floats = (first * discount[: first.shape[1]]).sum(1) / ideal
    return gained


def reciprocal_rank(hits: Array, k: int | None = None) -> Floats:
    """``1 / rank of the first hit`` within the first k (all when absent), else 0."""
    first = hits[:, :k].astype(bool)
    if not first.shape[1]:
        return np.zeros(len(first))
    return np.where(first.any(1), 1 / (1 + first.argmax(1)), 0.0)


# --- of lists, without relevance ------------------------------------------------------------------


def coverage(lists: Array, n_items: int, k: int) -> float:
    """Share of `n_items` that stand in the first k of at least one list. 0 to 1."""
    shown = lists[:, :k]
    return len(np.unique(shown[shown >= 0])) / n_items if n_items else 0.0


def novelty(lists: Array, counts: Array, k: int) -> Floats:
    """Mean self-information of a user's first k: ``mean of −log2(count / Σ counts)``, in bits.

    Parameters
    ----------
    lists : ndarray of int, shape (n_users, n)
    counts : ndarray of int, shape (n_items,)
        Training events of each item; an item without any counts as seen once.

    Returns
    -------
    ndarray, shape (n_users,)
        NaN for an empty list: there is nothing whose novelty could be told.
    """
    bits = np.log2(max(int(counts.sum()), 1)) - np.log2(np.maximum(counts, 1))
    first = lists[:, :k]
    shown = first >= 0
    total = np.where(shown, bits[np.where(shown, first, 0)], 0.0).sum(1)
    length = shown.sum(1)
    return np.where(length > 0, total / np.maximum(length, 1), np.nan)


# --- of scores and labels -------------------------------------------------------------------------


def auc(labels: Array, scores: Array) -> float:
    """Probability that a positive scores above a negative, ties count half; all rows pooled.

    The Mann–Whitney statistic: ``(Σ ranks of positives − p(p + 1)/2) / (p·n)``.

    Raises
    ------
    InvalidParameter
        Only one class is present, so that there is nothing to order.
    """
    positive = labels.ravel() > 0
    p, n = int(positive.sum()), int((~positive).sum())
    if not p or not n:
        raise InvalidParameter(f"auc needs both classes; there are {p} positives, {n} negatives")
    _, place, repeats = np.unique(scores.ravel(), return_inverse=True, return_counts=True)
    last = np.cumsum(repeats)
    rank = (last - (repeats - 1) / 2)[place.ravel()]
    return float((rank[positive].sum() - p * (p + 1) / 2) / (p * n))


def group_auc(labels: Array, scores: Array) -> Floats:
    """`auc` of each group: share of (positive, negative) pairs in order, ties count half.

    Parameters
    ----------
    labels, scores : ndarray, shape (n_groups, n)
        Each group holds both classes.

    Returns
    -------
    ndarray, shape (n_groups,)
    """
    return np.array([auc(*group) for group in zip(labels, scores, strict=True)], np.float64)


def log_loss(labels: Array, probabilities: Array) -> float:
    """``−mean(y·ln p + (1 − y)·ln(1 − p))``; p is kept 1e-11 away from 0 and 1."""
    p = np.clip(probabilities.astype(np.float64), 1e-11, 1 - 1e-11)
    return float(-np.mean(np.where(labels > 0, np.log(p), np.log1p(-p))))


def candidate_metrics(
    labels: Array, probabilities: Array, ks: Sequence[int] = (2, 4, 6), digits: int | None = 4
) -> dict[str, float]:
    """What sequential recommenders are judged by: each group holds one positive and n negatives.

    Parameters
    ----------
    labels, probabilities : ndarray, shape (n_groups, 1 + n)
    ks : sequence of int
    digits : int, optional
        Decimals to round to; None keeps all.

    Returns
    -------
    dict
        ``auc`` and ``logloss`` over all rows pooled; ``mean_mrr``, ``ndcg@k`` and ``group_auc``
        averaged over groups.
    """
    hits = hits_by_score(labels, probabilities)
    relevant = labels.sum(1)
    found = {
        "auc": auc(labels, probabilities),
        "logloss": log_loss(labels, probabilities),
        "mean_mrr": float(reciprocal_rank(hits).mean()),
        **{f"ndcg@{k}": float(ndcg(hits, relevant, k).mean()) for k in ks},
        "group_auc": float(group_auc(labels, probabilities).mean()),
    }
    return found if digits is None else {name: round(v, digits) for name, v in found.items()}


# --- what an average is worth ---------------------------------------------------------------------


@dataclass(frozen=True)
class Interval:
    """An average over users and its bootstrap confidence interval.

    Attributes
    ----------
    mean, low, high : float
    users : int
        How many values were averaged; NaNs are not.
    """

    mean: float
    low: float
    high: float
    users: int


def mean_intervals(
    values: Array,
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> list[Interval]:
    """Percentile bootstrap over users (Efron and Tibshirani, 1993, chapter 13).

    Parameters
    ----------
    values : ndarray, shape (n_users, n_metrics)
        NaN where a metric says nothing about a user.
    rng : numpy.random.Generator
    confidence : float
        0.95 gives the 2.5 % and 97.5 % points.
    resamples : int

    Returns
    -------
    list of Interval
        One per column; NaN throughout where a column has no value.
    """
    told = ~np.isnan(values)
    filled = np.where(told, values, 0.0)
    both = np.concatenate([filled, told], axis=1)
    means = [_ratio(both.sum(0))]
    for _ in range(resamples if len(values) else 0):
        drawn = rng.integers(0, len(values), len(values))
        means.append(_ratio(np.bincount(drawn, minlength=len(values)) @ both))
    tail = 100 * (1 - confidence) / 2
    low, high = _percentiles(np.array(means[1:] or means), [tail, 100 - tail])
    return [
        Interval(float(means[0][m]), float(low[m]), float(high[m]), int(told[:, m].sum()))
        for m in range(values.shape[1])
    ]


def _ratio(sums: Floats) -> Floats:
    """Means from the concatenated sums of values and of how many there are."""
    total, count = np.split(sums, 2)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _percentiles(means: Floats, points: list[float]) -> Floats:
    """`numpy.nanpercentile` that stays silent about columns without a value."""
    empty = np.isnan(means).all(0)
    found: Floats = np.nanpercentile(np.where(empty, 0.0, means), points, axis=0)
    return np.where(empty, np.nan, found)


@dataclass(frozen=True)
class Comparison:
    """How much better one model is than another for the same users.

    Attributes
    ----------
    difference, low, high : float
        Mean of ``first − second`` and its bootstrap confidence interval.
    p_value : float
        Of the two-sided sign-flip test: how often a difference at least as large arises when
        each user's two values change places at random. 0 to 1, never 0.
    users : int
    """

    difference: float
    low: float
    high: float
    p_value: float
    users: int


def compare(
    first: Array,
    second: Array,
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> Comparison:
    """Compare two models by one metric, paired by user.

    The randomisation test is the one Smucker, Allan and Carterette recommend ("A comparison of
    statistical significance tests for information retrieval evaluation", CIKM 2007).

    Parameters
    ----------
    first, second : ndarray, shape (n_users,)
        The metric of the same users in the same order; users for whom either is NaN are left out.
    rng : numpy.random.Generator
    """
    if first.shape != second.shape:
        raise InvalidParameter(
            f"models are compared on the same users; got {len(first)} and {len(second)} of them"
        )
    difference = (first - second)[~np.isnan(first - second)]
    interval = mean_intervals(difference[:, None], rng, confidence=confidence, resamples=resamples)[
        0
    ]
    # A share of 1e-12 forgives the rounding of sums in another order: equal sums count as equal.
    threshold = abs(difference.sum()) * (1 - 1e-12)
    as_large = sum(
        abs(np.where(rng.random(len(difference)) < 0.5, difference, -difference).sum()) >= threshold
        for _ in range(resamples)
    )
    return Comparison(
        interval.mean,
        interval.low,
        interval.high,
        float((1 + as_large) / (1 + resamples)),
        interval.users,
    )
