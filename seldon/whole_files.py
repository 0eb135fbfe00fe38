"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` when the body ends without an error.

    The folder is made if it is not there. When the body raises, or the disk is full, what
    stood at `path` stays.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # In a folder of its own under its own name, which a gzip file tells.
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        written = Path(folder) / target.name
        yield written
        sync(written)
        written.replace(target)
    sync(target.parent)


def sync(path: str | os.PathLike[str]) -> None:
    """Wait until what is in a file, or which names are in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
