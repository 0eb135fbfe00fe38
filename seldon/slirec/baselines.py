"""What a sequential model has to beat: rules of a few lines, fitted to the training events.

Each takes a data set and groups of candidates and answers scores, ndarray of float64 of the
shape of ``groups.item``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from seldon.slirec.dataset import Groups, SequenceDataset

Scores = npt.NDArray[np.float64]
WINDOW = 5  # events within which one item counts as following another
RECENT = 11  # newest events that speak for a candidate
FADING = 0.9  # weight of an event against the next newer one


def most_popular(dataset: SequenceDataset, groups: Groups) -> Scores:
    """Training events of the candidate."""
    counts: Scores = _counts(dataset)[groups.item].astype(np.float64)
    return counts


def item_similarity(dataset: SequenceDataset, groups: Groups) -> Scores:
    """Fading sum, over the newest events, of how much more often the candidate follows them.

    ``lift(a, b) = n · #(b within WINDOW events after a) / (#a · #b)`` over training events, and
    the score of b is ``Σ over the k-th newest event a of FADING^k · lift(a, b)``.
    """
    pairs, times = _followers(dataset)
    count, n_items = _counts(dataset), len(dataset.vocabulary.items)
    start = dataset.history_start(groups.position)
    scores = np.zeros(groups.item.shape)
    for back in range(RECENT):
        at = groups.position - 1 - back
        real = at >= start
        past = np.where(real, dataset.item[np.maximum(at, 0)], 0)[:, None]
        code = past.astype(np.int64) * n_items + groups.item
        found = np.minimum(np.searchsorted(pairs, code), max(0, len(pairs) - 1))
        together = np.where(pairs[found] == code, times[found], 0) if len(pairs) else 0
        lift = together * count.sum() / np.maximum(count[past] * count[groups.item], 1)
        scores += FADING**back * lift * real[:, None]
    return scores


def previous_category(dataset: SequenceDataset, groups: Groups) -> Scores:
    """1 where the candidate's category is that of the event before, else 0."""
    previous = dataset.category[groups.position - 1][:, None]
    same: Scores = (groups.category == previous).astype(np.float64)
    return same


def similarity_and_category(dataset: SequenceDataset, groups: Groups) -> Scores:
    """Both together; the previous category counts as two standard deviations of similarity."""
    similarity = item_similarity(dataset, groups)
    spread = float(similarity.std()) or 1.0
    both: Scores = similarity / spread + 2 * previous_category(dataset, groups)
    return both


def _training(dataset: SequenceDataset) -> npt.NDArray[np.int64]:
    return dataset.train_positions(0)


def _counts(dataset: SequenceDataset) -> npt.NDArray[Any]:
    return np.bincount(dataset.item[_training(dataset)], minlength=len(dataset.vocabulary.items))


def _followers(dataset: SequenceDataset) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ordered pairs of items as ``a · n_items + b``, sorted, and how often b followed a."""
    positions, n_items = _training(dataset), len(dataset.vocabulary.items)
    start = dataset.history_start(positions)
    codes = []
    for lag in range(1, WINDOW + 1):
        later = positions[positions - lag >= start]
        codes.append(dataset.item[later - lag].astype(np.int64) * n_items + dataset.item[later])
    pairs, times = np.unique(np.concatenate(codes), return_counts=True)
    return pairs, times
