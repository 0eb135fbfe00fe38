"""`Recommender`: what every trained model here is, and how one is saved and loaded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seldon import saved
from seldon.locations import Location
from seldon.saved import Saved

Scored: TypeAlias = (
    Mapping[int, float]
    | Sequence[tuple[int, float]]
    | tuple[npt.NDArray[np.int64], npt.NDArray[np.floating[Any]]]
)
"""What an algorithm may answer: ``{item: score}``, ``[(item, score), …]`` or ``(ids, scores)``."""


class Recommender(Saved):
    """Base class of a model that recommends.

    Subclass it and write `recommend`. Attributes made of numbers, text, arrays and lists or
    dicts of them are kept by themselves; a model with other state, or large state, has its own
    `save` and `load`. As in scikit-learn, a constructor stores each argument in the attribute
    of the same name, so that `load_recommender` can make the object again.
    """

    def recommend(
        self,
        user: int,
        ids: Collection[int],
        recent_interactions: Sequence[int],
        client: str,
        limit: int,
    ) -> Scored:
        """Score candidates for one user.

        Parameters
        ----------
        user : int
            Internal user id, ``-1`` when unknown.
        ids : Collection of int
            What may be recommended. The service passes a `seldon.candidates.Candidates`, a
            set that also offers sorted arrays.
        recent_interactions : sequence of int
            Item ids, newest first; may be empty.
        client : str
        limit : int
            Answers beyond this number are cut.

        Returns
        -------
        mapping, pairs, or two arrays
            See `Scored`. Higher is better; pairs and arrays are best first.
        """
        return []

    def contributions(
        self, user: int, item: int, recent_interactions: Sequence[int], client: str
    ) -> list[tuple[int, float]]:
        """What each past interaction adds to the score of `item`.

        Returns
        -------
        list of (item id, float)
            They add up to the score that `recommend` gives before it is normalised. Empty
            where a model cannot tell.
        """
        return []

    def catalogue(self) -> npt.ArrayLike:
        """Ids this model can recommend when the caller names no candidates; default none."""
        return np.empty(0, np.int64)


def save_recommender(
    recommender: Recommender,
    location: Location,
    metadata: Mapping[str, Any] | None = None,
    *,
    storage: Mapping[str, Any] | None = None,
) -> None:
    """Write `recommender` to a model folder, whole or not at all.

    Parameters
    ----------
    recommender : Recommender
        Its class must be importable by name, so not defined in a script that runs.
    location : path or fsspec URL
    metadata : mapping, optional
        JSON values to keep in the manifest beside the constructor's ``parameters``.
    storage : mapping, optional
        Options of the file system of a URL, see `seldon.locations.fetched`.
    """
    saved.write(recommender, location, metadata, storage=storage)


def load_recommender(
    location: Location,
    *,
    verify: bool = True,
    trusted: bool | Collection[str] = False,
    storage: Mapping[str, Any] | None = None,
) -> Recommender:
    """Load what `save_recommender` wrote; the class must be importable.

    Parameters
    ----------
    location : path or fsspec URL
    verify : bool
        Compare the SHA-256 of every file.
    trusted : bool or collection of str
        Whether a folder of the original Seldon package, a pickle named ``rec``, is read: see
        `seldon.originals.unpickled`.
    storage : mapping, optional
        Options of the file system of a URL.

    Raises
    ------
    ModelNotFound, InvalidModel
        See `seldon.folders.open_folder`; also when the class cannot be imported or is not a
        `Recommender`.
    """
    return saved.read(location, Recommender, "rec", verify=verify, trusted=trusted, storage=storage)
