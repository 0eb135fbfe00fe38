"""Trained models on disk: one model folder each, named by the model's id.

root/
  0b8f2c1e-…/        a model folder, whole or absent
  .0b8f2c1e-….*/     one that is being written or removed; swept when its trainer is gone
  .locks/            one file a model in training, held by its trainer
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_MODEL = re.compile(ID)
_TEMPORARY = re.compile(rf"\.({ID})\..+")


class ModelStore:
    """Model folders under one root.

    Parameters
    ----------
    root : path
        Shared by all hosts when there are several.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).absolute()
        (self.root / ".locks").mkdir(parents=True, exist_ok=True)

    def folder(self, model_id: str) -> Path:
        """Where the model stands once it is trained."""
        return self.root / model_id

    def work_folder(self, model_id: str) -> Path:
        """A new empty folder for one training; `clean` removes it."""
        return Path(tempfile.mkdtemp(prefix=f".{model_id}.work.", dir=self.root))

    def remove(self, model_id: str) -> None:
        """Take the model away in one step; whoever has it mapped goes on with it."""
        leaving = Path(tempfile.mkdtemp(prefix=f".{model_id}.gone.", dir=self.root))
        with contextlib.suppress(FileNotFoundError):
            self.folder(model_id).rename(leaving / model_id)
        shutil.rmtree(leaving, ignore_errors=True)

    def clean(self, model_id: str) -> None:
        """Remove what an ended training left half-written; the caller holds its lock."""
        for path in self.root.glob(f".{model_id}.*"):
            shutil.rmtree(path, ignore_errors=True)

    def sweep(self, known: Callable[[], set[str]]) -> None:
        """Remove folders of models that are not registered, and what dead trainings left behind.

        Parameters
        ----------
        known : callable
            Ids of the registered models. Asked after the folders were listed, so that a model
            created in between is not taken for an orphan.
        """
        listed = [path.name for path in self.root.iterdir()]
        models = known()
        temporary = (match[1] for match in map(_TEMPORARY.fullmatch, listed) if match)
        orphans = {name for name in listed if _MODEL.fullmatch(name)} - models
        locks = os.listdir(self.root / ".locks")  # of the dead too; whose are held are left alone
        for model_id in {*temporary, *orphans, *locks}:
            with self.locked(model_id) as mine:
                if mine:
                    self.clean(model_id)
                    if model_id in orphans:
                        self.remove(model_id)

    @contextmanager
    def locked(self, model_id: str) -> Iterator[bool]:
        """Hold the training lock of a model; False when a living process holds it.

        The kernel lets go of it when the last process that inherited it ends, however it ends.
        """
        path = self.root / ".locks" / model_id
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            mine = lock(descriptor) and _is_still(path, descriptor)
            try:
                yield mine
            finally:
                if mine:
                    path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Whether the file could be locked at once."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether `path` is the file that was opened, not a newer one of its name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
