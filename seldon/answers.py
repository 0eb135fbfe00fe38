"""From whatever an algorithm answered to what may go out: finite, allowed, sorted, 0 to 1."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seldon.candidates import NO_IDS, Candidates, Ids
from seldon.scores import top_n

MAX_PAIRS = 1_000_000  # read of one answer: a generator may have no end
NO_SCORES: npt.NDArray[np.float64] = np.empty(0)


class UnusableAnswer(Exception):
    """An algorithm answered something that is not scores of items at all."""


@dataclass(frozen=True)
class Answer:
    """The recommendations of one request.

    Attributes
    ----------
    items : list of int
        Best first.
    scores : list of float
        0 to 1, falling.
    dropped : dict of str to int
        How many entries an algorithm should not have answered, by reason.
    """

    items: list[int]
    scores: list[float]
    dropped: dict[str, int]


def clean(answer: Any, candidates: Candidates, limit: int, normalization: str) -> Answer:
    """What of `answer` may go out.

    Parameters
    ----------
    answer : mapping, pairs, or two arrays
        See `seldon.base.Scored`.
    candidates : Candidates
        Everything else is dropped.
    limit : int
    normalization : {"max", "none"}
        ``"max"`` divides by the best score, or maps worst to best on 0 to 1 when a score is
        negative; ``"none"`` only clips.

    Raises
    ------
    UnusableAnswer
        `answer` has none of the three forms.
    """
    dropped: dict[str, int] = {}
    ids, scores = as_arrays(answer, dropped)
    finite = np.isfinite(scores)
    if not finite.all():
        _count(dropped, "not finite", len(ids) - int(finite.sum()))
        ids, scores = ids[finite], scores[finite]
    ids, scores = _best(ids, scores, candidates, limit, dropped)
    return Answer(ids.tolist(), normalised(scores, normalization).tolist(), dropped)


def normalised(
    scores: npt.NDArray[np.float64], normalization: str = "max"
) -> npt.NDArray[np.float64]:
    """Scores on 0 to 1, order unchanged; see `clean`."""
    if not len(scores):
        return scores
    if normalization == "max":
        scale = np.abs(scores).max()
        if scale > 0:
            scores = scores / scale
        low = scores.min()
        if low < 0:
            span = scores.max() - low
            scores = (scores - low) / span if span > 0 else np.ones_like(scores)
    return np.clip(scores, 0.0, 1.0)


def as_arrays(answer: Any, dropped: dict[str, int]) -> tuple[Ids, npt.NDArray[np.float64]]:
    """Ids and scores in the order answered; what cannot be one is counted in `dropped`.

    Raises
    ------
    UnusableAnswer
        `answer` has none of the three forms.
    """
    if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], np.ndarray):
        ids, scores = answer[0], np.asarray(answer[1])
        if ids.shape != scores.shape or ids.ndim != 1:
            raise UnusableAnswer(
                f"two arrays of shapes {ids.shape} and {scores.shape}; expected one score an id"
            )
        if np.can_cast(ids.dtype, np.int64) and scores.dtype.kind in "fiu":
            return ids.astype(np.int64, copy=False), scores.astype(np.float64, copy=False)
        pairs: Iterable[Any] = zip(ids.tolist(), scores.tolist(), strict=True)
    elif isinstance(answer, Mapping):
        if set(map(type, answer)) <= {int} and set(map(type, answer.values())) <= {int, float}:
            try:
                return (
                    np.fromiter(answer.keys(), np.int64, len(answer)),
                    np.fromiter(answer.values(), np.float64, len(answer)),
                )
            except OverflowError:
                pass
        pairs = answer.items()
    elif isinstance(answer, Iterable) and not isinstance(answer, (str, bytes)):
        pairs = answer
    else:
        raise UnusableAnswer(
            f"{type(answer).__name__}; expected {{item: score}}, (item, score) pairs or two arrays"
        )
    return _from_pairs(pairs, dropped)


def _from_pairs(
    pairs: Iterable[Any], dropped: dict[str, int]
) -> tuple[Ids, npt.NDArray[np.float64]]:
    ids: list[int] = []
    scores: list[float] = []
    for pair in itertools.islice(pairs, MAX_PAIRS):
        try:
            item, score = pair
            item = _as_id(item)
            score = float(score)
        except (TypeError, ValueError, OverflowError):
            _count(dropped, "not an (item, score) pair", 1)
            continue
        if math.isfinite(score):
            ids.append(item)
            scores.append(score)
        else:
            _count(dropped, "not finite", 1)
    return np.array(ids, np.int64), np.array(scores, np.float64)


def _as_id(item: Any) -> int:
    if isinstance(item, (bool, np.bool_)) or not isinstance(item, (int, np.integer)):
        raise TypeError
    if not -(2**63) <= item < 2**63:
        raise OverflowError
    return int(item)


def _best(
    ids: Ids,
    scores: npt.NDArray[np.float64],
    candidates: Candidates,
    limit: int,
    dropped: dict[str, int],
) -> tuple[Ids, npt.NDArray[np.float64]]:
    """The `limit` best that are candidates, each once.

    Almost always the first `limit` are; so look at a few more than that, and at all only when
    too many of them had to go.
    """
    if len(ids) > limit:
        _count(dropped, "over limit", len(ids) - limit)
    most = limit + 32
    while True:
        best, best_scores = top_n(ids, scores, most) if len(ids) else (NO_IDS, NO_SCORES)
        kept = allowed = candidates.holds(best)
        if len(set(best.tolist())) < len(best):
            kept = allowed & _firsts(best)
        if kept.sum() >= limit or len(best) == len(ids):
            break
        most *= 8
    if not kept.all():
        _count(dropped, "not a candidate", int((~allowed).sum()))
        _count(dropped, "answered twice", int((allowed & ~kept).sum()))
        best, best_scores = best[kept], best_scores[kept]
    return best[:limit], np.asarray(best_scores[:limit], np.float64)


def _firsts(ids: Ids) -> npt.NDArray[np.bool_]:
    """Which entries are the first of their id."""
    first = np.zeros(len(ids), np.bool_)
    first[np.unique(ids, return_index=True)[1]] = True
    return first


def _count(dropped: dict[str, int], reason: str, number: int) -> None:
    if number:
        dropped[reason] = dropped.get(reason, 0) + number
