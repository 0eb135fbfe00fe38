"""`Extension`: a saved function from one JSON document to another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from seldon import saved
from seldon.locations import Location
from seldon.saved import Saved


class Extension(Saved):
    """Base class of what ``/extension`` serves.

    Subclass it and write `predict`. What is kept of an object is said at
    `seldon.saved.Saved.save`.
    """

    def predict(self, input: Any = None) -> Any:
        """Answer one request.

        Parameters
        ----------
        input : JSON value
            What the request's parameter ``json`` held.

        Returns
        -------
        JSON value
            dicts with text keys, lists, text, finite numbers, truth values and None; numpy
            values count as what they hold.
        """
        return {}


def save_extension(
    extension: Extension, location: Location, *, storage: Mapping[str, Any] | None = None
) -> None:
    """Write `extension` to a model folder; as `seldon.save_recommender`."""
    saved.write(extension, location, storage=storage)


def load_extension(
    location: Location,
    *,
    trusted: bool | Collection[str] = False,
    storage: Mapping[str, Any] | None = None,
) -> Extension:
    """Load what `save_extension` wrote; as `seldon.load_recommender`."""
    return saved.read(location, Extension, "ext", trusted=trusted, storage=storage)
