"""`SARRecommender`: scores, recommendations, explanations, and the folder they come from."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from seldon.base import Recommender, Scored
from seldon.candidates import Candidates
from seldon.errors import InvalidParameter
from seldon.folders import open_folder
from seldon.interactions import Vocabulary
from seldon.sar import storage
from seldon.sar.affinity import Event, Events, affinity, reference_time
from seldon.sar.history import History
from seldon.sar.parameters import TrainingParameters
from seldon.sar.similarity import Similarity
from seldon.scores import top_n

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

RECENT = 100
"""Interactions of a request that are used, the newest; bounds what one request can cost."""


@dataclass(frozen=True)
class Contribution:
    """What one past event adds to the score of a recommended item.

    Attributes
    ----------
    item : str
        The item of the event.
    time : float
        Of the event, seconds since 1970 UTC.
    affinity : float
        What the event weighs at the moment of the request.
    similarity : float
        Of the event's item to the recommended one.
    from_history : bool
        The event is from the history kept in the model, not from the request.
    """

    item: str
    time: float
    affinity: float
    similarity: float
    from_history: bool

    @property
    def score(self) -> float:
        return self.affinity * self.similarity


class SARRecommender(Recommender):
    """Simple Algorithm for Recommendation: affinity to past items times item similarity.

    `seldon.sar.training.train` makes one; `seldon.load_recommender` loads one. Ids that are
    all plain decimal integers are kept as int64, so that `recommend` can answer a Seldon
    server; otherwise `recommend` has nothing to say. The other methods take and give strings.

    Parameters
    ----------
    parameters : TrainingParameters or mapping

    Attributes
    ----------
    items : Vocabulary
    similarity : Similarity
    occurrences : ndarray of int64, shape (n_items,)
        Baskets that hold each item.
    popular : ndarray of int32
        Items with usage, most popular first; ties by id.
    latest : float
        Time of the newest training event, seconds since 1970 UTC.
    history : History or None
        The latest events of each user.
    feature_weights : dict
        Of cold item placement: feature name to weight; empty without.
    """

    def __init__(self, parameters: TrainingParameters | Mapping[str, Any] | None = None) -> None:
        if not isinstance(parameters, TrainingParameters):
            parameters = TrainingParameters.from_dict(parameters or {})
        self.parameters = parameters
        self.items = Vocabulary(np.empty(0, np.str_))
        self.similarity = Similarity(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0))
        self.occurrences: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self.popular: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self.latest = 0.0
        self.history: History | None = None
        self.feature_weights: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"SARRecommender({len(self.items)} items, {len(self.similarity.columns)} entries)"

    def recommend_items(
        self,
        events: Sequence[Event | str] = (),
        user_id: str | None = None,
        count: int = 10,
        now: float | None = None,
    ) -> list[tuple[str, float]]:
        """The best items for someone who did `events`; the personalised route of the API.

        Parameters
        ----------
        events : sequence of Event or str
            A string is an item seen now. Unknown items contribute nothing.
        user_id : str, optional
            Adds that user's stored history, if the model has it and knows the user.
        count : int
        now : float, optional
            Seconds since 1970 UTC; otherwise the moment of the call.

        Returns
        -------
        list of (item id, score)
            Best first, equal scores by id. Only scores above zero are recommendations; with
            backfilling the places left have the most popular items with score 0.
        """
        now = time.time() if now is None else now
        used = self._events(events, now) + self._stored(user_id)
        return self._named(*self.rank(used, self._affinity(used, now), count))

    def similar_items(self, item_id: str, count: int = 10) -> list[tuple[str, float]]:
        """The items most similar to one; the item-to-item route of the API.

        The item weighs 1 whatever the time is, so answers do not drift through the day.
        """
        used = Events.at(self.items.indices([item_id]), self.latest)
        return self._named(*self.rank(used, used.weight, count))

    def recommend(
        self,
        user: int,
        ids: Collection[int],
        recent_interactions: Sequence[int],
        client: str,
        limit: int,
        now: float | None = None,
    ) -> Scored:
        """Candidates for one user of a Seldon server; see `seldon.Recommender.recommend`.

        The recent interactions weigh 1 at the moment of the call; stored history of the user
        is added when the model has it.
        """
        if self.items.ids.dtype.kind != "i":
            return []
        now = time.time() if now is None else now
        candidates = ids if isinstance(ids, Candidates) else Candidates.of(sorted(ids))
        recent = self.items.indices(np.asarray(recent_interactions[:RECENT], np.int64))
        used = Events.at(recent, now) + self._stored(str(user))
        allowed = candidates.mask(self.items)
        rows, scores = self.rank(used, self._affinity(used, now), limit, allowed)
        return self.items.ids[rows], scores

    def contributions(
        self, user: int, item: int, recent_interactions: Sequence[int], client: str
    ) -> list[tuple[int, float]]:
        """What each recent or stored event adds to the score of `item`; see `explain`."""
        recent = [str(each) for each in recent_interactions[:RECENT]]
        found = self.explain(str(item), recent, str(user))
        return [(int(each.item), each.score) for each in found]

    def catalogue(self) -> npt.ArrayLike:
        """All items, when their ids are integers."""
        return self.items.ids if self.items.ids.dtype.kind == "i" else np.empty(0, np.int64)

    def explain(
        self,
        item_id: str,
        events: Sequence[Event | str] = (),
        user_id: str | None = None,
        now: float | None = None,
    ) -> list[Contribution]:
        """Why `item_id` has its score: what each event adds, largest first.

        The parameters are those of `recommend_items`; the contributions add up to the score.
        """
        row = int(self.items.indices([item_id])[0])
        if row < 0:
            return []
        now = time.time() if now is None else now
        given = self._events(events, now)
        used = given + self._stored(user_id)
        weights = self._affinity(used, now)
        found = []
        for place, seed in enumerate(used.item.tolist()):
            columns, values = self.similarity.row(seed) if seed >= 0 else (np.empty(0), np.empty(0))
            at = int(np.searchsorted(columns, row))
            if at < len(columns) and columns[at] == row:
                name = str(self.items.ids[seed])
                value, moment = float(values[at]), float(used.time[place])
                contribution = Contribution(
                    name, moment, float(weights[place]), value, place >= len(given)
                )
                found.append(contribution)
        return sorted(found, key=lambda contribution: -contribution.score)

    def score(self, rows: Rows, weights: Floats) -> Floats:
        """Scores of all items, shape (n_items,): Σ weight(i) · similarity(i, ·).

        Parameters
        ----------
        rows : ndarray of int64, shape (n,)
            Positions in `items`; ``-1`` contributes nothing.
        weights : ndarray of float64, shape (n,)
        """
        known = rows >= 0
        rows, weights = rows[known], weights[known]
        if not len(rows):
            return np.zeros(len(self.items))
        starts = self.similarity.indptr[rows]
        sizes = self.similarity.indptr[rows + 1] - starts
        ends = np.cumsum(sizes)
        # Where every entry of these rows is: one gather instead of a slice for each row.
        places = np.arange(ends[-1])
        places += np.repeat(starts - ends + sizes, sizes)
        values = self.similarity.values[places] * np.repeat(weights, sizes)
        columns = self.similarity.columns[places]
        return np.asarray(np.bincount(columns, values, len(self.items)), np.float64)

    def rank(
        self,
        used: Events,
        weights: Floats,
        count: int,
        allowed: npt.NDArray[np.bool_] | None = None,
    ) -> tuple[Rows, Floats]:
        """Rows and scores of the best items; seeds and places left are treated as trained.

        Parameters
        ----------
        used : Events
            What the user did; its items are the seeds.
        weights : ndarray of float64, shape (n_events,)
            See `seldon.sar.affinity.affinity`.
        count : int
        allowed : ndarray of bool, shape (n_items,), optional
            Items that may be recommended; None is all.
        """
        if count < 1:
            raise InvalidParameter(f"count={count!r}: expected at least 1")
        seeds = used.item[used.item >= 0]
        if self.parameters.allow_seed_items_in_recommendations:
            seeds = seeds[:0]
        rows, scores = self._found(used.item, weights, seeds)
        if allowed is not None:
            kept = allowed[rows]
            rows, scores = rows[kept], scores[kept]
        rows, best = top_n(rows, scores, count)
        if len(rows) < count and self.parameters.enable_backfilling:
            filled = self._backfill(np.concatenate([rows, seeds]), count - len(rows), allowed)
            rows = np.concatenate([rows, filled])
            best = np.concatenate([best, np.zeros(len(filled))])
        return rows, np.asarray(best, np.float64)

    def _found(self, rows: Rows, weights: Floats, seeds: Rows) -> tuple[Rows, Floats]:
        """Items other than `seeds` with a score above zero, and their scores."""
        if len(rows) == 1 and rows[0] >= 0:  # its row of the matrix is the answer
            columns, values = self.similarity.row(int(rows[0]))
            scores = values * weights[0]
            kept = scores > 0
            if len(seeds):
                kept &= columns != rows[0]
            return columns[kept].astype(np.int64), scores[kept]
        every = self.score(rows, weights)
        every[seeds] = 0
        found = np.flatnonzero(every > 0)
        return found, every[found]

    def _backfill(self, taken: Rows, count: int, allowed: npt.NDArray[np.bool_] | None) -> Rows:
        """The most popular items that are allowed and not taken."""
        popular = self.popular
        if allowed is not None:
            # The first stretch nearly always has enough; a long catalogue is not searched whole.
            stretch = popular[: 20 * (count + len(taken))]
            stretch = stretch[allowed[stretch]]
            popular = stretch if len(stretch) >= count + len(taken) else popular[allowed[popular]]
        known = set(taken.tolist())
        fresh = [row for row in popular[: count + len(taken)].tolist() if row not in known]
        return np.array(fresh[:count], np.int64)

    def _events(self, events: Sequence[Event | str], now: float) -> Events:
        """The events as arrays, the newest `RECENT` of them."""
        given = [Event(event) if isinstance(event, str) else event for event in events]
        if len(given) > RECENT:
            given.sort(key=lambda event: -(now if event.time is None else event.time))
        return Events.of(given[:RECENT], self.items, now)

    def _stored(self, user_id: str | None) -> Events:
        kept = None if self.history is None or not user_id else self.history.of(user_id)
        return Events.at(np.empty(0, np.int64), 0.0) if kept is None else kept

    def _affinity(self, used: Events, now: float) -> Floats:
        if not self.parameters.enable_user_affinity:
            return np.ones(len(used))
        reference = reference_time(self.latest, used, now)
        return affinity(used, reference, self.parameters.decay_period_in_days)

    def _named(self, rows: Rows, scores: Floats) -> list[tuple[str, float]]:
        return list(zip(map(str, self.items.ids[rows].tolist()), scores.tolist(), strict=True))

    def get_params(self) -> dict[str, Any]:
        return {"parameters": self.parameters.to_dict()}

    def save(self, folder: str | os.PathLike[str]) -> None:
        storage.write(self, Path(folder))

    def load(self, folder: str | os.PathLike[str]) -> Self:
        """Map the arrays of `folder`: they cost memory once, however many processes load them."""
        storage.read_into(self, open_folder(folder, verify=False))
        return self
