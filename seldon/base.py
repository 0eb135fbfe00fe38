"""`Recommender`: what every trained model here is, and how one is saved and loaded."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from seldon.errors import InvalidModel
from seldon.folders import ModelFolder, open_folder, publishing

Scored: TypeAlias = (
    Mapping[int, float]
    | Sequence[tuple[int, float]]
    | tuple[npt.NDArray[np.int64], npt.NDArray[np.floating[Any]]]
)
"""What an algorithm may answer: ``{item: score}``, ``[(item, score), …]`` or ``(ids, scores)``."""


class Recommender:
    """Base class of a model that recommends.

    Subclass it, write `recommend`, and, if the model has state beside its constructor
    arguments, `save` and `load`. As in scikit-learn, a constructor stores each argument in
    the attribute of the same name and does nothing else, so that `load_recommender` can make
    the object again.
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
            See `Scored`. Higher is better; the order does not matter.
        """
        return []

    def catalogue(self) -> npt.ArrayLike:
        """Ids this model can recommend when the caller names no candidates; default none."""
        return np.empty(0, np.int64)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write what the constructor arguments do not hold; never a pickle."""

    def load(self, folder: str | os.PathLike[str]) -> Self:
        """Read back what `save` wrote and return the ready object."""
        return self

    def get_params(self) -> dict[str, Any]:
        """Constructor arguments by name; JSON values."""
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        return {name: getattr(self, name) for name in names if hasattr(self, name)}


def save_recommender(
    recommender: Recommender,
    location: str | os.PathLike[str],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write `recommender` to a model folder, whole or not at all.

    Parameters
    ----------
    recommender : Recommender
        Its class must be importable by name, so not defined in a script that runs.
    location : path
    metadata : mapping, optional
        JSON values to keep in the manifest beside the constructor's ``parameters``.
    """
    cls = type(recommender)
    if cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
        raise InvalidModel(
            f"{cls.__qualname__} cannot be loaded again from {cls.__module__!r}; "
            "put the class at the top level of a module of its own"
        )
    kept = {"parameters": recommender.get_params(), **(metadata or {})}
    with publishing(location, f"{cls.__module__}:{cls.__qualname__}", kept) as folder:
        recommender.save(folder)


def load_recommender(location: str | os.PathLike[str], *, verify: bool = True) -> Recommender:
    """Load what `save_recommender` wrote; the class must be importable.

    Raises
    ------
    ModelNotFound, InvalidModel
        See `seldon.folders.open_folder`; also when the class cannot be imported or is not a
        `Recommender`.
    """
    folder = open_folder(location, verify=verify)
    recommender = _recommender_class(folder)(**folder.metadata.get("parameters", {}))
    return recommender.load(Path(location))


def _recommender_class(folder: ModelFolder) -> type[Recommender]:
    module, _, name = folder.kind.partition(":")
    # A manifest may name a class, not run any module there is: it must already be a
    # Recommender by the time it is imported, and nothing of the folder is put on sys.path.
    try:
        found = getattr(sys.modules.get(module) or importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidModel(
            f"{folder.path}: its class {folder.kind!r} cannot be imported: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Recommender)):
        raise InvalidModel(f"{folder.path}: {folder.kind!r} is not a seldon.Recommender")
    return found
