"""`SLiRecRecommender`: a trained SLi-Rec behind `/recommend`, in numpy alone."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from seldon.base import Recommender
from seldon.candidates import Candidates, Ids
from seldon.errors import InvalidModel, InvalidParameter, InvalidSetting
from seldon.folders import open_folder
from seldon.interactions import Vocabulary
from seldon.scores import Scores, top_n
from seldon.slirec.batches import SequenceBatch, padded
from seldon.slirec.dataset import SequenceDataset
from seldon.slirec.hyperparameters import Hyperparameters
from seldon.slirec.scoring import Scorer
from seldon.slirec.vocabulary import SequenceVocabulary

if TYPE_CHECKING:
    from seldon.slirec.network import SLiRecNetwork

ABSENT = -1
DOCUMENT = "model.json"


class SLiRecRecommender(Recommender):
    """Ranks items by what a user did last; made by `of`, `save` and `load`.

    The user's id is not read, so new users cost nothing. A history of which the model knows no
    item falls to the most popular items of the training data.

    Parameters
    ----------
    popularity : float
        Weight of the logarithm of an item's popularity in its score. Training draws negatives
        by popularity, so what the network says is how much more likely a history makes an item
        than it is anyway: 0 ranks by that, 1 by how likely the item is to be next.
    """

    def __init__(self, popularity: float = 1.0) -> None:
        if not 0 <= popularity < math.inf:
            raise InvalidParameter(f"popularity={popularity!r} is not a number from 0")
        self.popularity = popularity

    @classmethod
    def of(
        cls,
        network: SLiRecNetwork,
        dataset: SequenceDataset,
        ids: Mapping[str, int] | None = None,
        *,
        popularity: float = 1.0,
    ) -> Self:
        """From a trained network.

        Parameters
        ----------
        network : SLiRecNetwork
            Trained on `dataset`.
        dataset : SequenceDataset
            Its own categories and its training events' popularity are taken over.
        ids : mapping of str to int, optional
            From an item's name to the integer `/recommend` knows it by. Items that are not in
            it have left the inventory: they count in histories and are not recommended. By
            default names that are all integers stand for themselves, and else an item's id is
            its number in the vocabulary.
        popularity : float
        """
        trained = dataset.train_positions(0)
        count = np.bincount(dataset.item[trained], minlength=len(dataset.vocabulary.items))
        weights = {name: values.cpu().numpy() for name, values in network.state_dict().items()}
        made = cls(popularity)
        made._ready(
            weights,
            network.hyperparameters,
            dataset.vocabulary,
            _item_ids(dataset.vocabulary, ids),
            count.astype(np.int64),
        )
        return made

    def rank(
        self,
        items: Sequence[str],
        timestamps: Sequence[float] | None = None,
        now: float | None = None,
        count: int | None = None,
        candidates: Collection[str] | None = None,
    ) -> tuple[list[str], Scores]:
        """The best items for a history that has times.

        Parameters
        ----------
        items : sequence of str
            Names, oldest first. Unknown ones are left out, then all but the newest
            `max_seq_length`.
        timestamps : sequence of float, optional
            Seconds since 1970-01-01 UTC, one for each item. They may go backwards or lie in
            the future: spans count as half a day at least. Without them everything counts as
            done at `now`.
        now : float, optional
            The moment of judgement, seconds; by default the newest timestamp.
        count : int, optional
            How many are wanted, from 1; by default all.
        candidates : collection of str, optional
            Names to choose from; by default the inventory. Unknown ones are left out.

        Returns
        -------
        names : list of str
            Best first.
        scores : ndarray of float64
            0 to 1 and falling; no probabilities. For a history without a known item the
            share of training events.
        """
        times = _times(items, timestamps, now)
        known = self._item_numbers(items)
        rows = self._available
        if candidates is not None:
            wanted = self._item_numbers(list(candidates))
            rows = np.unique(wanted[wanted > 0])
        if count is not None and count < 1:
            raise InvalidParameter(f"count={count!r} is not a whole number from 1")
        scores = self._scores(known, times[:-1], int(times[-1]), rows)
        best, values = top_n(rows, scores, count or max(1, len(rows)))
        return [self.vocabulary.items[row] for row in best], values

    def recommend(
        self,
        user: int,
        ids: Collection[int],
        recent_interactions: Sequence[int],
        client: str,
        limit: int,
    ) -> tuple[Ids, Scores]:
        """Score the candidates; recent interactions carry no time, so they count as now."""
        recent = np.asarray(list(recent_interactions), np.int64)[::-1]
        found = self._ids.indices(recent)
        known = np.where(found >= 0, self._row_of_id[found], 0)
        wanted = ids if isinstance(ids, Candidates) else Candidates.of(list(ids))
        rows = self._row_of_id[wanted.mask(self._ids)]
        scores = self._scores(known, np.zeros(len(known), np.int64), 0, rows)
        return top_n(self.item_ids[rows], scores, limit)

    def catalogue(self) -> Ids:
        """Ids of the items that have one, sorted."""
        ids: Ids = self._ids.ids
        return ids

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Everything the model is: arrays by name, and a JSON document.

        The document says nothing about users, who are not needed to score.
        """
        arrays = {
            **{f"weights.{name}": values for name, values in self.weights.items()},
            "item_ids": self.item_ids,
            "item_counts": self.item_counts,
        }
        return arrays, {
            "parameters": self.get_params(),
            "hyperparameters": self.hyperparameters.to_json(),
            "vocabulary": {**self.vocabulary.to_json(), "users": []},
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, npt.NDArray[Any]], document: Mapping[str, Any]
    ) -> Self:
        """The model that `to_arrays` told."""
        return cls(**document["parameters"])._filled(arrays, document)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `to_arrays` as one file an array and ``model.json``."""
        where = Path(folder)
        arrays, document = self.to_arrays()
        for name, values in arrays.items():
            np.save(where / f"{name}.npy", values)
        text = json.dumps(document, ensure_ascii=False)
        (where / DOCUMENT).write_text(text, encoding="utf-8")

    def load(self, folder: str | os.PathLike[str]) -> Self:
        """Read back what `save` wrote; torch is not needed."""
        opened = open_folder(folder, verify=False)
        names = [name.removesuffix(".npy") for name in opened.files if name.endswith(".npy")]
        try:
            document = json.loads((opened.path / DOCUMENT).read_text(encoding="utf-8"))
            return self._filled({name: opened.array(name) for name in names}, document)
        except (OSError, ValueError, KeyError, TypeError, InvalidSetting) as error:
            raise InvalidModel(f"{opened.path}: not a SLi-Rec model: {error!r}") from error

    def _filled(self, arrays: Mapping[str, npt.NDArray[Any]], document: Mapping[str, Any]) -> Self:
        self._ready(
            {
                name.removeprefix("weights."): values
                for name, values in arrays.items()
                if name.startswith("weights.")
            },
            Hyperparameters.of(document["hyperparameters"]),
            SequenceVocabulary.from_json(document["vocabulary"]),
            arrays["item_ids"],
            arrays["item_counts"],
        )
        return self

    def _ready(
        self,
        weights: Mapping[str, npt.NDArray[Any]],
        hyperparameters: Hyperparameters,
        vocabulary: SequenceVocabulary,
        item_ids: Ids,
        item_counts: npt.NDArray[np.int64],
    ) -> None:
        if not len(vocabulary.items) == len(item_ids) == len(weights["item.weight"]):
            raise InvalidModel(
                f"weights of {len(weights['item.weight'])} items and {len(item_ids)} ids do not "
                f"belong to a vocabulary of {len(vocabulary.items)} items"
            )
        self.weights = dict(weights)
        self.hyperparameters = hyperparameters
        self.vocabulary = vocabulary
        self.item_ids = np.asarray(item_ids)
        self.item_counts = np.asarray(item_counts)
        self._own_category = vocabulary.own_categories()
        self._scorer = Scorer(weights, hyperparameters, self._own_category)
        self._available = np.flatnonzero(self.item_ids != ABSENT)
        self._ids = Vocabulary(self.item_ids[self._available])
        self._row_of_id = self._available[np.argsort(self.item_ids[self._available])]
        total = max(1, int(self.item_counts.sum()))
        self._share = self.item_counts / total
        # An item that was never seen counts as a hundredth of one that was once.
        self._bias = self.popularity * np.log(np.maximum(self.item_counts, 0.01) / total)

    def _item_numbers(self, items: Sequence[str]) -> npt.NDArray[np.int64]:
        return self.vocabulary.item_numbers(list(items)).astype(np.int64)

    def _scores(
        self,
        known: npt.NDArray[np.int64],
        times: npt.NDArray[np.int64],
        now: int,
        rows: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.float64]:
        known, times = known[known > 0], times[known > 0]
        if not len(known) or not len(rows):
            popular: npt.NDArray[np.float64] = self._share[rows]
            return popular
        logits = self._scorer.logits(self._history(known, times, now), rows).astype(np.float64)
        # The logistic function; not in single precision, where good items would all become 1.
        scores: npt.NDArray[np.float64] = np.exp(-np.logaddexp(0, -(logits + self._bias[rows])))
        return scores

    def _history(
        self, known: npt.NDArray[np.int64], times: npt.NDArray[np.int64], now: int
    ) -> SequenceBatch:
        item = known.astype(np.int32)
        return padded(
            item,
            self._own_category[item],
            times,
            np.array([0]),
            np.array([len(item)]),
            np.array([now]),
            self.hyperparameters.max_seq_length,
        )


def _item_ids(vocabulary: SequenceVocabulary, ids: Mapping[str, int] | None) -> Ids:
    names = vocabulary.items[1:]
    if ids is not None:
        found = [int(ids.get(name, ABSENT)) for name in names]
    elif all(name.isascii() and name.isdigit() for name in names):
        found = [int(name) for name in names]
    else:
        found = list(range(1, len(names) + 1))
    used = [number for number in found if number != ABSENT]
    if not used:
        raise InvalidParameter(
            f"none of the {len(names)} trained items has an id; was the model trained on the "
            "events of this inventory?"
        )
    if len(set(used)) != len(used):
        twice = next(number for number in used if used.count(number) > 1)
        raise InvalidParameter(f"id {twice} stands for more than one item")
    return np.array([ABSENT, *found], np.int64)


def _times(
    items: Sequence[str], timestamps: Sequence[float] | None, now: float | None
) -> npt.NDArray[np.int64]:
    """Whole seconds of each item, and of the moment of judgement at the end."""
    if timestamps is None:
        timestamps = [now or 0.0] * len(items)
    if len(timestamps) != len(items):
        raise InvalidParameter(
            f"{len(timestamps)} timestamps do not go with {len(items)} items; give one for each"
        )
    given = [*timestamps, *([] if now is None else [now])]
    for value in given:
        number = isinstance(value, (int, float, np.integer, np.floating))
        if not number or not math.isfinite(value) or abs(value) > 2**53:
            raise InvalidParameter(f"timestamp {value!r} is not a number of seconds")
    moment = max(given, default=0.0) if now is None else now
    return np.array([*timestamps, moment], np.float64).astype(np.int64)
