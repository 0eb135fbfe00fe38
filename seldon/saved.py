"""`Saved`: what can be kept in a model folder as a class name, arguments and data; no pickle."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from seldon.errors import InvalidModel
from seldon.folders import MANIFEST, ModelFolder, open_folder, publishing
from seldon.locations import Location, delivered, fetched
from seldon.versions import resolve

ATTRIBUTES = "attributes.json"


class Saved:
    """An object that a model folder can hold.

    As in scikit-learn, a constructor stores each argument in the attribute of the same name,
    so that the object can be made again from them.
    """

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write what the constructor arguments do not hold; never a pickle.

        Unless a subclass has its own way, every other attribute is kept: None, truth values,
        numbers, text, numpy arrays of those, and lists, tuples, sets and dicts of all these.

        Raises
        ------
        InvalidModel
            An attribute is something else; its class needs `save` and `load` of its own.
        """
        held = self.get_params()
        state = {name: value for name, value in vars(self).items() if name not in held}
        if state:
            document = _Writer(Path(folder), type(self).__qualname__).encoded(state)
            (Path(folder) / ATTRIBUTES).write_text(json.dumps(document), encoding="utf-8")

    def load(self, folder: str | os.PathLike[str]) -> Self:
        """Read back what `save` wrote and return the ready object."""
        path = Path(folder) / ATTRIBUTES
        if path.exists():
            try:
                document = json.loads(path.read_text(encoding="utf-8"))
                vars(self).update(_decoded(document, Path(folder)))
            except (KeyError, TypeError, ValueError) as error:
                raise InvalidModel(f"{path}: not what save wrote: {error!r}") from error
        return self

    def get_params(self) -> dict[str, Any]:
        """Constructor arguments by name; JSON values."""
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        return {name: getattr(self, name) for name in names if hasattr(self, name)}


S = TypeVar("S", bound=Saved)


def write(
    saved: Saved,
    location: Location,
    metadata: Mapping[str, Any] | None = None,
    *,
    storage: Mapping[str, Any] | None = None,
    work_folder: Location | None = None,
) -> None:
    """Write `saved` to a model folder, whole or not at all.

    Parameters
    ----------
    saved : Saved
        Its class must be importable by name, so not defined in a script that runs.
    location : path or fsspec URL
    metadata : mapping, optional
        JSON values to keep in the manifest beside the constructor's ``parameters``.
    storage, work_folder
        As for `seldon.locations.fetched`.
    """
    cls = type(saved)
    if cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
        raise InvalidModel(
            f"{cls.__qualname__} cannot be loaded again from {cls.__module__!r}; "
            "put the class at the top level of a module of its own"
        )
    kept = {"parameters": saved.get_params(), **(metadata or {})}
    for name, value in kept["parameters"].items():
        _check_parameter(cls, name, value)
    with (
        delivered(location, storage, work_folder) as target,
        publishing(target, f"{cls.__module__}:{cls.__qualname__}", kept) as folder,
    ):
        saved.save(str(folder))


def read(
    location: Location,
    base: type[S],
    original: str,
    *,
    verify: bool = True,
    trusted: bool | Collection[str] = False,
    storage: Mapping[str, Any] | None = None,
    work_folder: Location | None = None,
) -> S:
    """Load what `write` wrote; the class must be importable.

    Of a home of versions (`seldon.versions`) the current one is read.

    Parameters
    ----------
    location : path or fsspec URL
    base : type
        What the class must be a subclass of.
    original : str
        Name of the pickle in folders of the original Seldon package.
    verify : bool
        Compare the SHA-256 of every file.
    trusted : bool or collection of str
        What to do with a folder of the original package, see `seldon.originals.unpickled`.
    storage, work_folder
        As for `seldon.locations.fetched`.

    Raises
    ------
    ModelNotFound, InvalidModel
        See `seldon.folders.open_folder`; also when the class cannot be imported or is not a
        `base`.
    """
    with fetched(location, storage, work_folder) as stands:
        path = resolve(stands)
        if (path / original).is_file() and not (path / MANIFEST).exists():
            from seldon.originals import unpickled

            made = unpickled(path / original, base, trusted)
        else:
            folder = open_folder(path, verify=verify)
            made = _class(folder, base)(**folder.metadata.get("parameters", {}))
        # The original package ignored what `load` returns, so some classes return nothing.
        loaded = made.load(str(path))
        return loaded if isinstance(loaded, base) else made


def _check_parameter(cls: type[Saved], name: str, value: Any) -> None:
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise InvalidModel(
            f"{cls.__qualname__}({name}=…) is not a JSON value: {error}; take numbers, text and "
            "lists in the constructor, and set everything else as another attribute"
        ) from error


def _class(folder: ModelFolder, base: type[S]) -> type[S]:
    module, _, name = folder.kind.partition(":")
    # A manifest may name a class, not run any module there is: it must already be a
    # subclass by the time it is imported, and nothing of the folder is put on sys.path.
    try:
        found = getattr(sys.modules.get(module) or importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidModel(
            f"{folder.path}: its class {folder.kind!r} cannot be imported: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise InvalidModel(f"{folder.path}: {folder.kind!r} is not a seldon.{base.__name__}")
    return found


class _Writer:
    """Turns attributes into JSON, with arrays in files of their own beside it."""

    def __init__(self, folder: Path, owner: str) -> None:
        self.folder = folder
        self.owner = owner
        self.arrays = 0

    def encoded(self, state: dict[str, Any]) -> dict[str, Any]:
        return {name: self._value(value, name) for name, value in state.items()}

    def _value(self, value: Any, name: str) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, np.ndarray) and value.dtype != object:
            self.arrays += 1
            file = f"attribute-{self.arrays}.npy"
            np.save(self.folder / file, value, allow_pickle=False)
            return {"array": file}
        if isinstance(value, dict):
            pairs = [[self._value(k, name), self._value(v, name)] for k, v in value.items()]
            return {"dict": pairs}
        for kind in (list, tuple, set, frozenset):
            if type(value) is kind:
                return {kind.__name__: [self._value(each, name) for each in value]}
        raise InvalidModel(
            f"{self.owner}.{name} holds a {type(value).__name__}, which is neither numbers, "
            f"text, arrays nor lists or dicts of them; give {self.owner} a save and a load "
            "method that write and read it"
        )


_CONTAINERS = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


def _decoded(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    def value(encoded: Any) -> Any:
        if not isinstance(encoded, dict):
            return encoded
        ((kind, inner),) = encoded.items()
        if kind == "array":
            # Mapped first: a header that announces more than the file has is refused, where
            # reading would allocate it.
            return np.array(np.load(folder / Path(inner).name, "r", allow_pickle=False))
        if kind == "dict":
            return {value(key): value(each) for key, each in inner}
        return _CONTAINERS[kind](value(each) for each in inner)

    return {name: value(encoded) for name, encoded in document.items()}
