"""Models in memory: mapped from their folders, loaded once, bounded in number and bytes."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from seldon.base import load_recommender
from seldon.errors import InvalidModel
from seldon.folders import MANIFEST, open_folder
from seldon.sar.model import SARRecommender

M = TypeVar("M")


@dataclass
class _Entry(Generic[M]):
    """A model, or the loading of it that others wait for."""

    loading: threading.Lock = field(default_factory=threading.Lock)
    model: M | None = None
    size: int = 0
    stamp: int = 0


def load_model(folder: Path) -> SARRecommender:
    """A trained model; its checksums were compared when it was published, not here."""
    model = load_recommender(folder, verify=False)
    if not isinstance(model, SARRecommender):
        raise InvalidModel(f"{folder} holds a {type(model).__name__}, not a model of this API")
    return model


class LoadedModels(Generic[M]):
    """The models a process has loaded; those not used longest leave first.

    Memory-mapped files are shared by all processes of a host, so `maximum_bytes` bounds what
    each of them keeps mapped, not what they take together.

    Parameters
    ----------
    load : callable
        Model folder to model.
    maximum_number : int
    maximum_bytes : int
        Of the files of all loaded models. A model larger than this is refused.
    """

    def __init__(
        self, load: Callable[[Path], M], *, maximum_number: int, maximum_bytes: int
    ) -> None:
        self._load = load
        self._maximum_number = maximum_number
        self._maximum_bytes = maximum_bytes
        self._entries: OrderedDict[str, _Entry[M]] = OrderedDict()
        self._changing = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, folder: Path) -> M:
        """The model in `folder`; requests for one being loaded wait for that one loading.

        Raises
        ------
        ModelNotFound, InvalidModel
            There is no usable model; it is larger than may be kept in memory.
        """
        name = os.fspath(folder)
        stamp = _stamp(name)
        with self._changing:
            entry = self._entries.get(name) or self._entries.setdefault(name, _Entry())
            self._entries.move_to_end(name)
            if entry.model is not None and entry.stamp == stamp:
                return entry.model
        with entry.loading:
            if entry.model is not None and entry.stamp == stamp:
                return entry.model
            try:
                size = self._checked_size(folder)
                model = self._load(folder)
            except BaseException:
                self.drop(folder)
                raise
            with self._changing:
                entry.model, entry.size, entry.stamp = model, size, stamp
                self._make_room(name)
        return model

    def drop(self, folder: Path) -> None:
        """Forget the model in `folder`; requests that use it end with it."""
        with self._changing:
            self._entries.pop(os.fspath(folder), None)

    def _checked_size(self, folder: Path) -> int:
        size = sum(int(file["bytes"]) for file in open_folder(folder, verify=False).files.values())
        if size > self._maximum_bytes:
            raise InvalidModel(
                f"{folder} has {size} bytes, more than the {self._maximum_bytes} of the setting "
                "MODELS_MEMORY_BYTES"
            )
        return size

    def _make_room(self, keep: str) -> None:
        def held() -> int:
            return sum(entry.size for entry in self._entries.values())

        for name in list(self._entries):
            if len(self._entries) <= self._maximum_number and held() <= self._maximum_bytes:
                return
            if name != keep:
                del self._entries[name]


def _stamp(folder: str) -> int:
    """Changes when the folder is replaced; 0 when it is gone."""
    try:
        return os.stat(os.path.join(folder, MANIFEST)).st_ino
    except OSError:
        return 0
