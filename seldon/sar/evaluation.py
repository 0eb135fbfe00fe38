"""How good a SAR model is: the API's precision and diversity, and ranking metrics at k."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from seldon import metrics
from seldon.errors import InvalidParameter
from seldon.interactions import Interactions, Vocabulary
from seldon.metrics import Comparison, Interval
from seldon.sar.affinity import Events, affinity, reference_time
from seldon.sar.history import latest_events
from seldon.sar.model import SARRecommender

Array = npt.NDArray[Any]

API_LIST = 5
BUCKETS = ((0, 90), (90, 99), (99, 100))


@dataclass(frozen=True)
class Trial:
    """What was recommended to whom, and what they took: all that metrics are made of.

    Users are scored when they have events in both sets.

    Attributes
    ----------
    users : ndarray, shape (n_scored,)
        Ids of the users scored.
    users_in_test : int
        All users of the test events, scored or not.
    lists : ndarray of int, shape (n_scored, n)
        Positions in the model's items, best first, ``-1`` where a list is shorter.
    row, item : ndarray of int, shape (n_pairs,)
        Distinct (user, item) pairs of the test events of scored users: row of `lists`, position
        in the model's items, ``-1`` when the model does not know the item. Such an item cannot
        be hit, but it counts as relevant.
    relevant : ndarray of int, shape (n_scored,)
        Distinct test items of each user.
    history : ndarray of int, shape (n_scored,)
        Training events of each user.
    popularity : ndarray of int, shape (n_items,)
        Training events of each of the model's items; 0 for items placed by their features.
    """

    users: Array
    users_in_test: int
    lists: Array
    row: Array
    item: Array
    relevant: Array
    history: Array
    popularity: Array

    @cached_property
    def hits(self) -> npt.NDArray[np.bool_]:
        """Which entries of `lists` the user took; shape of `lists`."""
        return metrics.hits_of_lists(self.lists, self.row, self.item)


def try_out(
    recommend: Callable[[Array, int], Array],
    train: Interactions,
    test: Interactions,
    count: int,
    items: Vocabulary | None = None,
) -> Trial:
    """Recommend to every user who has events in both sets.

    Parameters
    ----------
    recommend : callable
        ``recommend(users, count)`` answers, for positions in ``train.users``, positions in
        `items`, shape (n_users, count), best first, ``-1`` where a list is shorter.
    count : int
        Length of the lists.
    items : Vocabulary, optional
        What the model can recommend; without it the training items.
    """
    items = train.items if items is None else items
    known = train.users.indices(test.users.ids)[test.user]
    scored = np.unique(known[known >= 0])
    inside = known >= 0
    row = np.searchsorted(scored, known[inside])
    # Pairs are made distinct by ids of the test set, so that two unknown items stay two.
    pairs = np.unique(row * max(len(test.items), 1) + test.item[inside])
    row, own = np.divmod(pairs, max(len(test.items), 1))
    trained = items.indices(train.items.ids)[train.item]
    return Trial(
        users=train.users.ids[scored],
        users_in_test=len(np.unique(test.user)),
        lists=recommend(scored, count),
        row=row,
        item=items.indices(test.items.ids)[own],
        relevant=np.bincount(row, minlength=len(scored)),
        history=np.bincount(train.user, minlength=len(train.users))[scored],
        popularity=np.bincount(trained[trained >= 0], minlength=len(items)),
    )


def recommending(model: SARRecommender, train: Interactions) -> Callable[[Array, int], Array]:
    """What `try_out` asks: lists from whole training histories, as `model` recommends.

    Users' events are those of `train`, not the latest few that the model keeps. An event weighs
    1, or what the data says when the model was trained with `event_weights`.
    """
    histories = latest_events(train, kept=max(len(train), 1))
    row = model.items.indices(train.items.ids)

    def recommend(users: Array, count: int) -> Array:
        lists = np.full((len(users), count), -1, np.int32)
        for place, user in enumerate(users.tolist()):
            part = slice(histories.offsets[user], histories.offsets[user + 1])
            weight = histories.weight[part].astype(np.float64)
            if not model.parameters.event_weights:
                weight[:] = 1
            used = Events(row[histories.item[part]], histories.time[part], weight)
            rows, _ = model.rank(used, _weights(model, used), count)
            lists[place, : len(rows)] = rows
        return lists

    return recommend


def _weights(model: SARRecommender, used: Events) -> npt.NDArray[np.float64]:
    if not model.parameters.enable_user_affinity:
        return np.ones(len(used))
    reference = reference_time(model.latest, used, model.latest)
    return affinity(used, reference, model.parameters.decay_period_in_days)


# --- what the Product Recommendations API reports -------------------------------------------------


@dataclass(frozen=True)
class Precision:
    """Share of all test users for whom any of the first `k` was right; in percent."""

    k: int
    percentage: float
    users_in_test: int


@dataclass(frozen=True)
class Bucket:
    """Share of all recommended items whose popularity percentile is in [minimum, maximum)."""

    minimum: int
    maximum: int
    percentage: float


@dataclass(frozen=True)
class Diversity:
    """How far recommendations reach beyond the most popular items."""

    buckets: tuple[Bucket, ...]
    total_items_recommended: int
    unique_items_recommended: int
    unique_items_in_train_set: int


def precision(trial: Trial, ks: Sequence[int] = range(1, API_LIST + 1)) -> tuple[Precision, ...]:
    """The API's precision: a hit rate over *all* test users, those not scored included.

    Empty when nobody could be scored.
    """
    if not len(trial.users):
        return ()
    return tuple(
        Precision(
            k,
            round(100 * float(metrics.hit_rate(trial.hits, k).sum()) / trial.users_in_test, 3),
            trial.users_in_test,
        )
        for k in ks
    )


def diversity(trial: Trial, count: int = API_LIST) -> Diversity | None:
    """The API's diversity over the first `count` of each list; None when nobody could be scored.

    Training items stand in rising order of their events, ties by id. The one at place n of N,
    from 0, has percentile ``100·n/N``; the last bucket includes 100. Items without training
    events count as the least popular.
    """
    if not len(trial.users):
        return None
    size = int((trial.popularity > 0).sum())
    place = np.empty(len(trial.popularity), np.int64)
    place[np.argsort(trial.popularity, kind="stable")] = np.arange(len(place))
    place = np.maximum(place - (len(place) - size), 0)
    shown = trial.lists[:, :count]
    shown = shown[shown >= 0]
    # Whole numbers decide the bucket: 100·n ≥ minimum·N has no rounding.
    percentile = 100 * place[shown]
    buckets = []
    for minimum, maximum in BUCKETS:
        inside = percentile >= minimum * size
        if maximum < 100:
            inside &= percentile < maximum * size
        share = 100 * float(inside.sum()) / len(shown) if len(shown) else 0.0
        buckets.append(Bucket(minimum, maximum, round(share, 3)))
    return Diversity(tuple(buckets), len(shown), len(np.unique(shown)), size)


# --- ranking metrics ------------------------------------------------------------------------------

NAMES = ("precision", "recall", "map", "ndcg", "mrr", "hit_rate", "novelty")


def per_user(trial: Trial, k: int) -> dict[str, Array]:
    """Each metric of `NAMES` at `k`, one value a scored user.

    ``map`` divides by all relevant items, as the ``recommenders`` package does.
    """
    hits, relevant = trial.hits, trial.relevant
    return {
        "precision": metrics.precision(hits, k),
        "recall": metrics.recall(hits, relevant, k),
        "map": metrics.average_precision(hits, relevant, k),
        "ndcg": metrics.ndcg(hits, relevant, k),
        "mrr": metrics.reciprocal_rank(hits, k),
        "hit_rate": metrics.hit_rate(hits, k),
        "novelty": metrics.novelty(trial.lists, trial.popularity, k),
    }


def intervals(trial: Trial, ks: Sequence[int], rng: np.random.Generator) -> dict[str, Interval]:
    """``name@k`` to the average over scored users and its 95 % bootstrap interval."""
    columns = {f"{name}@{k}": values for k in ks for name, values in per_user(trial, k).items()}
    found = metrics.mean_intervals(np.column_stack(list(columns.values())), rng)
    return dict(zip(columns, found, strict=True))


def coverage(trial: Trial, k: int) -> float:
    """Share of the model's items that somebody was shown among the first k. 0 to 1."""
    return metrics.coverage(trial.lists, len(trial.popularity), k)


def paired(
    first: Trial, second: Trial, ks: Sequence[int], rng: np.random.Generator
) -> dict[str, Comparison]:
    """``name@k`` to how much better `first` is than `second` for the users both scored."""
    users, ours, theirs = np.intersect1d(
        first.users, second.users, assume_unique=True, return_indices=True
    )
    if not len(users):
        raise InvalidParameter("the two models have no scored user in common")
    found = {}
    for k in ks:
        mine, other = per_user(first, k), per_user(second, k)
        for name in NAMES:
            found[f"{name}@{k}"] = metrics.compare(mine[name][ours], other[name][theirs], rng)
    return found


@dataclass(frozen=True)
class Evaluation:
    """Everything that is said of one model on one test set."""

    users_in_test: int
    users_scored: int
    precision: tuple[Precision, ...]
    diversity: Diversity | None
    metrics: dict[str, Interval]
    coverage: dict[str, float]

    def values(self) -> dict[str, float]:
        """Metric name to its value, as kept in a model's manifest and read by the gate."""
        means = {name: interval.mean for name, interval in self.metrics.items()}
        return {name: value for name, value in {**means, **self.coverage}.items() if value == value}


def evaluate(trial: Trial, ks: Sequence[int], rng: np.random.Generator) -> Evaluation:
    """Judge a trial.

    Parameters
    ----------
    ks : sequence of int
        List lengths for the ranking metrics; none longer than the lists of the trial.
    rng : numpy.random.Generator
        For the bootstrap.
    """
    longest = trial.lists.shape[1]
    if not ks or min(ks) < 1 or max(ks) > longest:
        raise InvalidParameter(f"k={list(ks)} must lie in 1 to {longest}, the lists' length")
    return Evaluation(
        trial.users_in_test,
        len(trial.users),
        precision(trial),
        diversity(trial),
        intervals(trial, ks, rng) if len(trial.users) else {},
        {f"coverage@{k}": coverage(trial, k) for k in ks} if len(trial.users) else {},
    )
