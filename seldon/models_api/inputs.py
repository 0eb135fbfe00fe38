"""Where usage and catalog files lie: one folder a container, under one configured root.

The root is a local folder or any fsspec address (``s3://bucket/prefix``). No name leads out of
its container: not by ``..``, not by an absolute path, not through a symbolic link.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from seldon.errors import InvalidParameter, InvalidSetting, MissingExtra, ModelNotFound

UPLOADS = ".uploads"
_EXTRAS = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gcs"), "gcs": ("gcsfs", "gcs")}


class Readable(Protocol):
    """What an upload is read from."""

    def read(self, size: int = -1, /) -> bytes: ...


def open_inputs(root: str) -> LocalInputs | RemoteInputs:
    """The inputs under `root`, a folder or an fsspec address."""
    return RemoteInputs(root) if "://" in root else LocalInputs(root)


def normalised(path: str) -> str:
    """A relative path as it is stored: ``/`` between its parts, none at its ends."""
    return path.replace("\\", "/").strip("/")


class LocalInputs:
    """Containers that are folders of this machine."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).absolute()

    def has_container(self, container: str) -> bool:
        return _is_name(container) and self._inside(container) is not None

    def is_file(self, container: str, path: str) -> bool:
        found = self._inside(container, path)
        return found is not None and found.is_file()

    def has_files(self, container: str, path: str) -> bool:
        """Whether `path` is a file, or a folder with at least one."""
        found = self._inside(container, path)
        return found is not None and bool(found.is_file() or _files_of(found))

    def stage(self, container: str, path: str, into: Path) -> Path:
        """Make the file, or the files directly in the folder, readable under `into`.

        Parameters
        ----------
        into : Path
            Gets links to the files, under the names they have in the container.

        Returns
        -------
        Path
            `path` below `into`: a file or a folder.

        Raises
        ------
        ModelNotFound
            They were there when the training was asked for, and are not any more.
        """
        found = self._inside(container, path)
        if found is None:
            raise _gone(container, path)
        staged = into / normalised(path)
        if found.is_file():
            staged.parent.mkdir(parents=True, exist_ok=True)
            staged.unlink(missing_ok=True)
            staged.symlink_to(found)
            return staged
        staged.mkdir(parents=True, exist_ok=True)
        for file in _files_of(found):
            (staged / file.name).unlink(missing_ok=True)
            (staged / file.name).symlink_to(file)
        return staged

    def write(self, container: str, path: str, source: Readable) -> None:
        """Store what `source` holds as an input, whole or not at all.

        Raises
        ------
        InvalidParameter
            The names would lead out of the root, or a folder is in the way.
        """
        self.check(container, path)
        (self.root / UPLOADS).mkdir(parents=True, exist_ok=True)
        arriving, name = tempfile.mkstemp(dir=self.root / UPLOADS)
        try:
            with os.fdopen(arriving, "wb") as stream:
                shutil.copyfileobj(source, stream, 2**20)
            os.chmod(name, 0o644)
            self._publish(Path(name), container, path)
        finally:
            Path(name).unlink(missing_ok=True)

    def take(self, file: Path, container: str, path: str) -> None:
        """Make a file of this machine an input, and remove it; raises as `write` does."""
        self.check(container, path)
        try:
            self._publish(file, container, path)
        except OSError as error:
            if error.errno != errno.EXDEV:  # it lies on another disk
                raise
            with file.open("rb") as stream:
                self.write(container, path, stream)
            file.unlink()

    def check(self, container: str, path: str) -> None:
        """Raise InvalidParameter unless an input may have this name."""
        self._target(container, path)

    def _publish(self, file: Path, container: str, path: str) -> None:
        target = self._target(container, path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)
        except (NotADirectoryError, FileExistsError, IsADirectoryError) as error:
            raise InvalidParameter(f"path={path!r}: a file or folder is in the way") from error

    def _target(self, container: str, path: str) -> Path:
        parts = PurePosixPath(normalised(path)).parts
        if not _is_name(container) or not parts or not all(_is_name(part) for part in parts):
            raise _not_plain(container, path)
        target = self.root.joinpath(container, *parts)
        if not target.parent.resolve().is_relative_to(self.root.resolve() / container):
            raise InvalidParameter(f"path={path!r} leads out of its container")
        return target

    def _inside(self, container: str, path: str = "") -> Path | None:
        """What stands at `path`, resolved; `None` when nothing does, or it is elsewhere."""
        parts = PurePosixPath(normalised(path)).parts
        if not _is_name(container) or ".." in parts or "\0" in path:
            return None
        try:
            home = (self.root / container).resolve(strict=True)
            found = home.joinpath(*parts).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            return None
        inside = home.parent == self.root.resolve() and home.is_dir() and found.is_relative_to(home)
        return found if inside else None


class RemoteInputs:
    """Containers under an fsspec address; a training works on a copy of its files.

    Parameters
    ----------
    root : str
        ``s3://bucket/prefix``, ``gs://…``, ``memory://…``

    Raises
    ------
    MissingExtra, InvalidSetting
        What the scheme needs is not installed; there is no such scheme.
    """

    def __init__(self, root: str) -> None:
        scheme = root.partition("://")[0]
        package, extra = _EXTRAS.get(scheme, ("fsspec", "s3"))
        try:
            import fsspec

            self._files, self._root = fsspec.core.url_to_fs(root.rstrip("/"))
        except ImportError as error:
            raise MissingExtra(package, extra) from error
        except ValueError as error:
            raise InvalidSetting(f"MODELS_INPUT_ROOT={root!r}: {error}") from error

    def has_container(self, container: str) -> bool:
        place = self._place(container)
        return place is not None and bool(self._files.isdir(place))

    def is_file(self, container: str, path: str) -> bool:
        place = self._place(container, path)
        return place is not None and bool(self._files.isfile(place))

    def has_files(self, container: str, path: str) -> bool:
        return self.is_file(container, path) or bool(self._names(container, path))

    def stage(self, container: str, path: str, into: Path) -> Path:
        """Copy the file, or the files directly in the folder, to `path` below `into`."""
        names = [path] if self.is_file(container, path) else self._names(container, path)
        if not names:
            raise _gone(container, path)
        for name in map(normalised, names):
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            self._files.get_file(self._place(container, name), str(into / name))
        return into / normalised(path)

    def write(self, container: str, path: str, source: Readable) -> None:
        """Store what `source` holds; raises as `LocalInputs.write` does."""
        self.check(container, path)
        # First here: a file system over a network may store what has come when one breaks off.
        with tempfile.NamedTemporaryFile() as arriving:
            shutil.copyfileobj(source, arriving, 2**20)
            arriving.flush()
            self._put(arriving.name, container, path)

    def take(self, file: Path, container: str, path: str) -> None:
        """Make a file of this machine an input, and remove it; raises as `write` does."""
        self.check(container, path)
        self._put(str(file), container, path)
        file.unlink()

    def check(self, container: str, path: str) -> None:
        """Raise InvalidParameter unless an input may have this name."""
        if self._place(container, path) is None or not normalised(path):
            raise _not_plain(container, path)

    def _put(self, file: str, container: str, path: str) -> None:
        place = self._place(container, path)
        assert place is not None
        self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
        self._files.put_file(file, place)

    def _names(self, container: str, path: str) -> list[str]:
        place = self._place(container, path)
        if place is None or not self._files.isdir(place):
            return []
        listed: list[dict[str, Any]] = self._files.ls(place, detail=True)
        files = (PurePosixPath(entry["name"]).name for entry in listed if entry["type"] == "file")
        return sorted(f"{normalised(path)}/{name}" for name in files if not name.startswith("."))

    def _place(self, container: str, path: str = "") -> str | None:
        parts = PurePosixPath(normalised(path)).parts
        if not all(_is_name(part) for part in (container, *parts)):
            return None
        return "/".join([self._root, container, *parts])


def _is_name(text: str) -> bool:
    return (
        bool(text) and not text.startswith(".") and not set(text) & set("/\\\0") and len(text) < 256
    )


def _files_of(folder: Path) -> list[Path]:
    """Files directly in `folder`; hidden ones are no input, a folder in it is not entered."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.is_file() and not path.is_symlink()
    )


def _not_plain(container: str, path: str) -> InvalidParameter:
    return InvalidParameter(
        f"container={container!r}, path={path!r}: expected plain names, none of which starts "
        "with a dot"
    )


def _gone(container: str, path: str) -> ModelNotFound:
    return ModelNotFound(
        f"the input {path!r} in the container {container!r} is not there any more; "
        "put it back and train a new model"
    )
