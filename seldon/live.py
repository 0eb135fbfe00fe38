"""`LiveModel`: the current model of a folder, swapped while requests are answered."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seldon.base import Recommender, load_recommender
from seldon.errors import ModelNotFound, SeldonError
from seldon.folders import open_folder
from seldon.versions import pointing_file, resolve

log = logging.getLogger(__name__)
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Served:
    """A model and what it is called, so that an answer and its version never mix.

    Attributes
    ----------
    model : Recommender
    version : str
        Twelve hex digits, see `seldon.folders.ModelFolder.version`.
    path : Path
        The folder it was loaded from.
    """

    model: Recommender
    version: str
    path: Path


class LiveModel:
    """Holds the current model of a home or a plain folder and follows it.

    `get` costs one look at a clock, and one `stat` each `every` seconds. When the pointer has
    moved, or a plain folder was replaced, the new model is loaded in a thread of its own while
    requests go on with the old one; then it is exchanged by one assignment. A model that cannot
    be loaded is logged once and the old one stays. The old one is freed when the last request
    that uses it ends.

    Parameters
    ----------
    location : path
        A home (see `seldon.versions`) or a model folder.
    load : callable, optional
        Path to model; the default is `seldon.load_recommender` for a folder whose checksums
        were compared just before.
    every : float
        Seconds between looks; 0 looks at each `get`.

    Raises
    ------
    ModelNotFound, InvalidModel
        There is no usable model to start with.
    """

    def __init__(
        self,
        location: str | os.PathLike[str],
        load: Callable[[Path], Recommender] | None = None,
        *,
        every: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.location = Path(location)
        self.failure: str | None = None
        """Why the newest model is not served, None when it is."""
        self._load = load or _load_verified
        self._every = every
        self._clock = clock
        self._seen = self._stamp()
        self._served = self._open()
        self._next = clock() + every
        self._refreshing = threading.Lock()

    def get(self) -> Served:
        """The model to answer with; take it once per request."""
        if self._clock() >= self._next:
            self._next = self._clock() + self._every
            if self._moved() and not self._refreshing.locked():
                threading.Thread(target=self.refresh, name="model swap", daemon=True).start()
        return self._served

    def refresh(self) -> bool:
        """Look now, and load what is new before returning.

        Returns
        -------
        bool
            Whether another model is served than before.
        """
        with self._refreshing:
            if not self._moved():
                return False
            # The stamp is taken first: what moves while we load is seen at the next look.
            self._seen = self._stamp()
            try:
                served = self._open()
            except (SeldonError, OSError, ValueError) as error:
                if self._moved():
                    return False  # it was replaced again while we read: the next look decides
                self.failure = f"{type(error).__name__}: {error}"
                log.error(
                    "%s: the new model is not used, %s stays: %s",
                    self.location,
                    self._served.version,
                    error,
                )
                return False
            before, self._served, self.failure = self._served.version, served, None
            log.info("%s: model %s replaces %s", self.location, served.version, before)
            return True

    def _moved(self) -> bool:
        # While a folder is being replaced there is nothing for an instant: look again later.
        stamp = self._stamp()
        return stamp is not None and stamp != self._seen

    def _stamp(self) -> Stamp | None:
        try:
            found = os.stat(pointing_file(self.location))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _open(self) -> Served:
        path = resolve(self.location)
        if not path.is_dir():
            raise ModelNotFound(f"{path} is not a model folder")
        folder = open_folder(path)
        return Served(self._load(path), folder.version, path)


def _load_verified(path: Path) -> Recommender:
    return load_recommender(path, verify=False)
