"""A file that tells how much of it was read."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO


class Counted:
    """Reads from `stream` and tells `progress` the bytes of each block."""

    def __init__(self, stream: IO[bytes], progress: Callable[[int], None]) -> None:
        self._stream = stream
        self._progress = progress

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self._progress(len(block))
        return block
