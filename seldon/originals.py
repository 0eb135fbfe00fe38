"""Folders of the original Seldon package: pickles, which run code when they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

from seldon.errors import InvalidModel, MissingExtra

T = TypeVar("T")


def unpickled(file: Path, expected: type[T] | None, trusted: bool | Collection[str]) -> T:
    """Load a joblib file, if its reader is trusted to.

    Parameters
    ----------
    file : Path
        ``rec``, ``ext`` or ``p`` of a folder that the original package wrote.
    expected : type, optional
        What the file must hold.
    trusted : bool or collection of str
        False refuses. True reads the file. A collection of SHA-256 digests in hex reads the
        file if its own is among them, so that nothing can be put in its place unseen.

    Raises
    ------
    InvalidModel
        Not trusted, not readable, or not what was expected.
    """
    # The bytes that are checked are the bytes that are read, whatever happens to the file.
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if trusted is False or (trusted is not True and digest not in trusted):
        listed = "" if trusted is False else " and this one is not among the digests given"
        raise InvalidModel(
            f"{file} is a pickle written by the original Seldon package, and reading a pickle "
            f"runs whatever code it holds{listed}. If you know who wrote it, pass trusted=True, "
            f"or its SHA-256, trusted={{{digest!r}}}; then save it again, without pickle"
        )
    loaded = _joblib_load(content, file)
    if expected is not None and not isinstance(loaded, expected):
        raise InvalidModel(
            f"{file} holds a {type(loaded).__name__}, not a seldon.{expected.__name__}"
        )
    return loaded  # type: ignore[no-any-return]


def _joblib_load(content: bytes, file: Path) -> Any:
    import io

    try:
        import joblib
    except ImportError:
        raise MissingExtra("joblib", "predict") from None
    try:
        return joblib.load(io.BytesIO(content))
    except Exception as error:  # a pickle may raise anything
        raise InvalidModel(
            f"{file} cannot be read by this Python: {type(error).__name__}: {error}. "
            "Files written under Python 2, or by a much older library, must be made again"
        ) from error
