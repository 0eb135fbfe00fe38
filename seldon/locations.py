"""Where a model stands: a path, or any fsspec address such as ``s3://bucket/model``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seldon.errors import MissingExtra, ModelNotFound
from seldon.folders import MANIFEST

Location = str | os.PathLike[str]

_EXTRAS = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
}


@contextmanager
def fetched(
    location: Location,
    storage: Mapping[str, Any] | None = None,
    work_folder: Location | None = None,
) -> Iterator[Path]:
    """What stands at `location`, as a local path.

    Parameters
    ----------
    location : path or URL
    storage : mapping, optional
        Options of the fsspec file system, for example ``{"key": …, "secret": …}`` for
        ``s3://``; without them the file system finds its own, such as ``AWS_PROFILE``.
    work_folder : path, optional
        Where the copy of a remote folder is kept; default the system's temporary folder.

    Yields
    ------
    Path
        The path itself, or a copy that is removed at the end. Files of it that are
        memory-mapped by then stay readable.
    """
    if not is_url(location):
        yield Path(location)
        return
    with _work_folder(work_folder) as folder:
        system, remote = _file_system(str(location), storage)
        if not system.exists(remote):
            raise ModelNotFound(f"there is nothing at {location}")
        copy = folder / "copy"
        system.get(remote, str(copy), recursive=True)
        yield copy


@contextmanager
def delivered(
    location: Location,
    storage: Mapping[str, Any] | None = None,
    work_folder: Location | None = None,
) -> Iterator[Path]:
    """A local path to publish a model folder at; at the end it stands at `location`.

    An object store has no rename: the manifest is removed first and written last, so that a
    reader sees no model rather than half of one.

    Parameters
    ----------
    location, storage, work_folder
        As for `fetched`.
    """
    if not is_url(location):
        yield Path(location)
        return
    with _work_folder(work_folder) as folder:
        yield folder / "model"
        system, remote = _file_system(str(location), storage)
        remote = remote.rstrip("/")
        if system.exists(f"{remote}/{MANIFEST}"):
            system.rm(f"{remote}/{MANIFEST}")
            system.rm(remote, recursive=True)
        files = [path for path in sorted((folder / "model").rglob("*")) if path.is_file()]
        for path in sorted(files, key=lambda path: path.name == MANIFEST):
            name = f"{remote}/{path.relative_to(folder / 'model').as_posix()}"
            system.makedirs(name.rpartition("/")[0], exist_ok=True)
            system.put_file(str(path), name)


def is_url(location: Location) -> bool:
    """Whether `location` is an address that fsspec reads, and not a path."""
    return isinstance(location, str) and "://" in location


@contextmanager
def _work_folder(work_folder: Location | None) -> Iterator[Path]:
    if work_folder is not None:
        Path(work_folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="seldon-", dir=work_folder) as folder:
        yield Path(folder)


def _file_system(location: str, storage: Mapping[str, Any] | None) -> tuple[Any, str]:
    protocol = location.partition("://")[0]
    package, extra = _EXTRAS.get(protocol, ("fsspec", "s3"))
    try:
        from fsspec.core import url_to_fs

        return url_to_fs(location, **(storage or {}))  # type: ignore[no-any-return]
    except ImportError:
        raise MissingExtra(package, extra) from None
