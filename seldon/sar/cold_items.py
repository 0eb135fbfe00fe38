"""Similarity of items with too little usage, learned from what features warm items share.

The original service's learner is closed. This is the public reading of it: a linear model whose
inputs are matches of features and whose target is the similarity of warm items, brought under
the weakest warm similarity (hongooi73/SAR, "approximately equivalent").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seldon.reading import Catalog
from seldon.sar.parameters import SimilarityFunction
from seldon.sar.similarity import Floats, Similarity
from seldon.scores import top_n

Longs = npt.NDArray[np.int64]

NEIGHBOURS = 10
"""Warm neighbours, and cold ones, that a cold item gets."""
CLIP = 1e-5
PAIRS_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Placement:
    """A similarity matrix with cold items in it, and what was learned.

    Attributes
    ----------
    similarity : Similarity
    bias : float
    weights : dict
        Feature name to weight, in the catalog's order; empty when nothing could be learned
        because there are no features, no cold items or no similar warm pair.
    """

    similarity: Similarity
    bias: float
    weights: dict[str, float]


def place_cold_items(
    similarity: Similarity,
    warm: npt.NDArray[np.bool_],
    catalog: Catalog,
    rows: Longs,
    function: SimilarityFunction,
    *,
    cold_to_cold: bool,
    rng: np.random.Generator,
) -> Placement:
    """Give cold items a similarity to warm ones, and to each other if asked.

    Entries between warm items stay as they are. A cold item gets its ten best warm neighbours
    (and ten best cold ones) among the items it shares a feature value with; all these entries
    are scaled so that the largest equals the smallest positive one between warm items.

    Parameters
    ----------
    similarity : Similarity
    warm : ndarray of bool, shape (n_items,)
        Items with enough usage.
    catalog : Catalog
    rows : ndarray of int64, shape (len(catalog),)
        Positions of the catalog's items.
    function : str
        Jaccard is learned as log-odds, the others as they are.
    cold_to_cold : bool
    rng : numpy Generator
        Draws pairs of warm items that are not similar.
    """
    features = Features.of(catalog, rows, len(similarity))
    weakest = _weakest_pair(similarity)
    cold = np.flatnonzero(~warm & features.any)
    if not catalog.feature_names or weakest is None or not len(cold):
        return Placement(similarity, 0.0, {})
    learner = _learn(similarity, np.flatnonzero(warm), features, function, rng)
    found = _predict(learner, features, cold, warm, cold_to_cold)
    if len(found.value):
        found = _Entries(found.row, found.column, found.value * (weakest / found.value.max()))
    names = dict(zip(catalog.feature_names, learner.weights.tolist(), strict=True))
    return Placement(_inserted(similarity, found), learner.bias, names)


class Features:
    """Which values each item has of each feature, comparable pair by pair.

    Parameters
    ----------
    values : ndarray of int32, shape (n_items, n_features, most values of an item)
        Numbers of values, ``-1`` where there are no more.
    """

    def __init__(self, values: npt.NDArray[np.int32]) -> None:
        self._values = values
        self._sizes = (values >= 0).sum(axis=2)

    def __len__(self) -> int:
        return int(self._values.shape[1])

    @classmethod
    def of(cls, catalog: Catalog, rows: Longs, n_items: int) -> Features:
        names = {name: place for place, name in enumerate(catalog.feature_names)}
        given = [
            {names[name]: set(value.split(";")) - {""} for name, value in item.items()}
            for item in catalog.features
        ]
        most = max((len(values) for item in given for values in item.values()), default=0)
        numbers: dict[tuple[int, str], int] = {}
        out = np.full((n_items, len(names), most), -1, np.int32)
        for row, item in zip(rows.tolist(), given, strict=True):
            for feature, values in item.items():
                for place, value in enumerate(sorted(values)):
                    out[row, feature, place] = numbers.setdefault((feature, value), len(numbers))
        return cls(out)

    @property
    def any(self) -> npt.NDArray[np.bool_]:
        """Which items have a feature at all."""
        return np.asarray(self._sizes.sum(axis=1) > 0)

    def profiles(self, rows: Longs) -> tuple[Longs, Longs]:
        """One item of each distinct set of features among `rows`, and which one each is like."""
        flat = self._values[rows].reshape(len(rows), -1)
        _, first, like = np.unique(flat, axis=0, return_index=True, return_inverse=True)
        return rows[first], like.reshape(-1)

    def matches(self, one: Longs, other: Longs) -> Floats:
        """Shared values per all values of each feature, 0 where either item has none.

        Shape (n_pairs, n_features).
        """
        a, b = self._values[one], self._values[other]
        common = ((a[:, :, :, None] == b[:, :, None, :]) & (a >= 0)[:, :, :, None]).sum(axis=(2, 3))
        total = self._sizes[one] + self._sizes[other] - common
        return np.asarray(common / np.maximum(total, 1))


@dataclass(frozen=True)
class _Learner:
    bias: float
    weights: Floats
    log_odds: bool

    def similarity(self, matches: Floats) -> Floats:
        value = self.bias + matches @ self.weights
        if self.log_odds:
            value = 1 / (1 + np.exp(-value))
        return np.where(matches.any(axis=1), np.maximum(value, 0), 0)


def _learn(
    similarity: Similarity,
    warm: Longs,
    features: Features,
    function: SimilarityFunction,
    rng: np.random.Generator,
) -> _Learner:
    """Least squares over similar pairs of warm items and some that are not similar."""
    one, other, target = _pairs(similarity)
    zero_one, zero_other = _dissimilar_pairs(similarity, warm, len(one), rng)
    one, other = np.concatenate([one, zero_one]), np.concatenate([other, zero_other])
    target = np.concatenate([target, np.zeros(len(zero_one))])
    log_odds = function == "Jaccard"
    if log_odds:
        share = np.clip(target, CLIP, 1 - CLIP)
        target = np.log(share / (1 - share))
    # The normal equations are summed over pieces: there may be millions of pairs.
    size = len(features) + 1
    gram, moment = np.zeros((size, size)), np.zeros(size)
    for at in range(0, len(one), PAIRS_AT_ONCE):
        piece = slice(at, at + PAIRS_AT_ONCE)
        inputs = features.matches(one[piece], other[piece])
        inputs = np.concatenate([np.ones((len(inputs), 1)), inputs], axis=1)
        gram += inputs.T @ inputs
        moment += inputs.T @ target[piece]
    solution = np.linalg.pinv(gram, hermitian=True) @ moment
    return _Learner(float(solution[0]), solution[1:], log_odds)


def _pairs(similarity: Similarity) -> tuple[Longs, Longs, Floats]:
    """Row, column and value of each entry before the diagonal."""
    rows = np.repeat(np.arange(len(similarity)), np.diff(similarity.indptr))
    kept = similarity.columns < rows
    return rows[kept], similarity.columns[kept].astype(np.int64), similarity.values[kept]


def _weakest_pair(similarity: Similarity) -> float | None:
    """The smallest positive value off the diagonal; None when there is none."""
    rows = np.repeat(np.arange(len(similarity)), np.diff(similarity.indptr))
    values = similarity.values[(similarity.columns != rows) & (similarity.values > 0)]
    return float(values.min()) if len(values) else None


def _dissimilar_pairs(
    similarity: Similarity, warm: Longs, n_similar: int, rng: np.random.Generator
) -> tuple[Longs, Longs]:
    """All of them when at least half of the warm pairs are similar, else as many as warm items."""
    n = len(similarity)
    possible = len(warm) * (len(warm) - 1) // 2
    rows, columns, _ = _pairs(similarity)
    known = rows * n + columns
    if 2 * n_similar >= possible:
        larger, smaller = np.tril_indices(len(warm), -1)
        keys = np.setdiff1d(warm[larger] * n + warm[smaller], known)
    else:
        drawn = warm[rng.integers(0, len(warm), (4 * len(warm), 2))]
        drawn = np.sort(drawn[drawn[:, 0] != drawn[:, 1]], axis=1)
        keys = np.unique(drawn[:, 1] * n + drawn[:, 0])
        keys = rng.permutation(np.setdiff1d(keys, known))[: len(warm)]
    return keys // n, keys % n


@dataclass(frozen=True)
class _Entries:
    row: Longs
    column: Longs
    value: Floats


def _predict(
    learner: _Learner,
    features: Features,
    cold: Longs,
    warm: npt.NDArray[np.bool_],
    cold_to_cold: bool,
) -> _Entries:
    """The best neighbours of each cold item, both ways round."""
    groups = [np.flatnonzero(warm)] + ([cold] if cold_to_cold else [])
    rows, columns, values = [], [], []
    distinct, like = features.profiles(cold)
    for group in groups:
        others, other_like = features.profiles(group)
        for number, profile in enumerate(distinct.tolist()):
            matches = features.matches(np.full(len(others), profile), others)
            scores = learner.similarity(matches)[other_like]
            possible = np.flatnonzero(scores > 0)
            # One more than needed, because an item may be among its own neighbours here.
            best, value = top_n(group[possible], scores[possible], NEIGHBOURS + 1)
            for item in cold[like == number].tolist():
                kept = np.flatnonzero(best != item)[:NEIGHBOURS]
                rows.append(np.full(len(kept), item))
                columns.append(best[kept])
                values.append(value[kept])
    row, column, value = map(np.concatenate, (rows, columns, values))
    n = len(warm)
    both = np.concatenate([row * n + column, column * n + row])
    keys, first = np.unique(both, return_index=True)
    return _Entries(keys // n, keys % n, np.concatenate([value, value])[first])


def _inserted(similarity: Similarity, entries: _Entries) -> Similarity:
    """The matrix with entries it does not have yet; `entries` are in order of row and column."""
    n = len(similarity)
    rows = np.repeat(np.arange(n), np.diff(similarity.indptr))
    places = np.searchsorted(rows * n + similarity.columns, entries.row * n + entries.column)
    added = np.bincount(entries.row, minlength=n)
    return Similarity(
        similarity.indptr + np.concatenate([[0], np.cumsum(added)]),
        np.insert(similarity.columns, places, entries.column.astype(np.int32)),
        np.insert(similarity.values, places, entries.value),
    )
