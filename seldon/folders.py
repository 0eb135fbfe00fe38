"""Model folders: files and a JSON manifest with checksums; never a pickle, never half-written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from seldon.errors import InvalidModel, ModelNotFound
from seldon.whole_files import sync

MANIFEST = "manifest.json"
SCHEMA = 1


@contextmanager
def publishing(
    location: str | os.PathLike[str], kind: str, metadata: Mapping[str, Any] | None = None
) -> Iterator[Path]:
    """Write a model folder that appears whole or not at all.

    The body of the `with` writes its files into the folder it is given; at its end they are
    listed with size and SHA-256 in ``manifest.json``, synced, and the folder is renamed to
    `location`. When the body raises, nothing is left and what stood at `location` stays.

    Parameters
    ----------
    location : path
        Where the folder shall stand. An older model folder there is replaced, and an empty
        folder; nothing else is.
    kind : str
        What the folder holds, for example ``"seldon.sar.model:SARRecommender"``.
    metadata : mapping, optional
        JSON values kept in the manifest under ``metadata``; it may still be filled by the
        body, because it is written after it.

    Yields
    ------
    Path
        An empty folder on the same file system as `location`.

    Raises
    ------
    InvalidModel
        Something else than a model stands at `location`.
    """
    target = Path(location).resolve()
    _check_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield folder
        files = {
            path.relative_to(folder).as_posix(): {
                "bytes": path.stat().st_size,
                "sha256": _sha256(path),
            }
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        document = {"schema": SCHEMA, "kind": kind, "metadata": metadata or {}, "files": files}
        (folder / MANIFEST).write_text(json.dumps(document, indent=1), encoding="utf-8")
        for path in [*folder.rglob("*"), folder]:
            sync(path)
        folder.chmod(0o755)
        _replace(folder, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def check_place(location: str | os.PathLike[str]) -> None:
    """Raise what `publishing` would for want of a place: before hours of work, not after them.

    Raises
    ------
    InvalidModel
        Something else than a model stands at `location`.
    OSError
        Nothing can be written there.
    """
    target = Path(location).resolve()
    _check_replaceable(target)
    nearest = next(parent for parent in target.parents if parent.exists())
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=nearest):
        pass


@dataclass(frozen=True)
class ModelFolder:
    """A model folder that was opened and checked.

    Attributes
    ----------
    path : Path
    kind : str
        What `publishing` was told.
    metadata : dict
    files : dict
        Relative name to ``{"bytes": int, "sha256": str}``.
    """

    path: Path
    kind: str
    metadata: dict[str, Any]
    files: dict[str, dict[str, Any]] = field(repr=False)

    @property
    def version(self) -> str:
        """Twelve hex digits that change when any byte of the model changes."""
        listing = json.dumps([self.kind, self.metadata, self.files], sort_keys=True)
        return hashlib.sha256(listing.encode()).hexdigest()[:12]

    def array(self, name: str) -> npt.NDArray[Any]:
        """The array saved as ``<name>.npy``, memory-mapped and read-only.

        Raises
        ------
        InvalidModel
            The file is missing from the manifest, needs a pickle, or its header announces
            more data than the file has.
        """
        file = f"{name}.npy"
        if file not in self.files:
            raise InvalidModel(f"{self.path}: {file!r} is not in {MANIFEST}")
        try:
            mapped = np.load(self.path / file, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, SyntaxError, TokenError, MemoryError) as error:
            raise InvalidModel(f"{self.path / file}: not a usable array: {error}") from error
        # A plain view answers faster than np.memmap; it keeps the mapping alive as its base.
        return np.asarray(mapped)


def open_folder(location: str | os.PathLike[str], *, verify: bool = True) -> ModelFolder:
    """Open a folder that `publishing` wrote.

    Parameters
    ----------
    location : path
    verify : bool
        Read every file once and compare its SHA-256. Without it only names and sizes are
        compared.

    Raises
    ------
    ModelNotFound
        There is no manifest at `location`.
    InvalidModel
        Another schema, a missing, surplus, linked, truncated or changed file.
    """
    path = Path(location)
    try:
        document = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ModelNotFound(f"{path} is not a model folder: it has no {MANIFEST}") from None
    except ValueError as error:
        raise InvalidModel(f"{path / MANIFEST}: not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        found = document.get("schema") if isinstance(document, dict) else document
        raise InvalidModel(
            f"{path / MANIFEST}: schema is {found!r}, this version reads schema {SCHEMA}; "
            "train the model again or install the version that wrote it"
        )
    try:
        folder = ModelFolder(
            path, str(document["kind"]), dict(document["metadata"]), dict(document["files"])
        )
        for name, expected in folder.files.items():
            _check(path, name, int(expected["bytes"]), str(expected["sha256"]), verify)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidModel(f"{path / MANIFEST}: incomplete: {error!r}") from error
    return folder


def _check_replaceable(target: Path) -> None:
    if not target.exists() or (target / MANIFEST).is_file():
        return
    if not target.is_dir() or any(target.iterdir()):
        raise InvalidModel(
            f"{target} is there already and is not a model folder; it is not replaced: "
            "take another place"
        )


def _check(folder: Path, name: str, size: int, sha256: str, verify: bool) -> None:
    path = folder / name
    if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
        raise InvalidModel(f"{path}: leads out of the model folder")
    if not path.is_file():
        raise InvalidModel(f"{path}: listed in {MANIFEST} but missing")
    if path.stat().st_size != size:
        raise InvalidModel(f"{path}: has {path.stat().st_size} bytes, {MANIFEST} says {size}")
    if verify and _sha256(path) != sha256:
        raise InvalidModel(f"{path}: its SHA-256 is not the one in {MANIFEST}: damaged")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _replace(folder: Path, target: Path) -> None:
    """Rename `folder` to `target`; a folder cannot be renamed over one that is not empty."""
    old = None
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
        target.rename(old / target.name)
    folder.rename(target)
    sync(target.parent)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
