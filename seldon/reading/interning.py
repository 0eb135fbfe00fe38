"""Ids in a block of bytes to small numbers, many rows at once."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

Positions = npt.NDArray[np.int64]
LONGEST = 64
"""Bytes of the longest text that `Interner.codes` takes."""
PAD = 2 * LONGEST
"""Bytes that must follow the last row in the block."""
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class Interner:
    """Gives each distinct text a number, in order of first appearance.

    Parameters
    ----------
    check : callable
        Called once per distinct text; what it answers is kept in `marks`.
    """

    def __init__(self, check: Callable[[bytes], float]) -> None:
        self._check = check
        self._codes: dict[bytes, int] = {}
        self._marks = array("d")

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def texts(self) -> list[bytes]:
        return list(self._codes)

    def marks(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """What `check` said of each; shape of `codes`."""
        marked: npt.NDArray[np.float64] = (
            np.frombuffer(self._marks)[codes] if self._marks else np.empty(0)
        )
        return marked

    def code(self, text: bytes) -> int:
        code = self._codes.setdefault(text, len(self._codes))
        if code == len(self._marks):
            self._marks.append(self._check(text))
        return code

    def codes(
        self, data: npt.NDArray[np.uint8], starts: Positions, ends: Positions
    ) -> npt.NDArray[np.int64]:
        """Numbers of the texts at ``data[starts:ends]``, each at most `LONGEST` bytes."""
        groups, first = _grouped(data, starts, ends)
        begins, stops = starts[first].tolist(), ends[first].tolist()
        block = data.tobytes()
        texts = [block[a:b] for a, b in zip(begins, stops, strict=True)]
        codes = self._codes
        new = [text for text in texts if text not in codes]
        codes.update(zip(new, range(len(codes), len(codes) + len(new)), strict=True))
        self._marks.extend(map(self._check, new))
        return np.array([codes[text] for text in texts], np.int64)[groups]


def _grouped(
    data: npt.NDArray[np.uint8], starts: Positions, ends: Positions
) -> tuple[npt.NDArray[np.int64], Positions]:
    """Group number of each row, and the first row of each group, by equality of the texts."""
    length = ends - starts
    # Eight bytes at any offset, read as one number: a view with a stride of one byte.
    eights = np.ndarray((len(data) - 7,), "<u8", buffer=data, strides=(1,))
    words = []
    hashed = length.astype(np.uint64) * _FACTOR
    for offset in range(0, int(length.max(initial=0)), 8):
        word = eights[starts + offset] & _MASKS[np.clip(length - offset, 0, 8)]
        words.append(word)
        hashed = (hashed ^ word) * _FACTOR
        hashed ^= hashed >> np.uint64(32)
    groups, _ = pd.factorize(hashed)
    groups = groups.astype(np.int64)
    first = _first_rows(groups)
    for same in (length, *words):
        if not np.array_equal(same, same[first][groups]):  # two texts share a hash
            return _grouped_exactly(data, starts, ends)
    return groups, first


def _grouped_exactly(
    data: npt.NDArray[np.uint8], starts: Positions, ends: Positions
) -> tuple[npt.NDArray[np.int64], Positions]:
    seen: dict[bytes, int] = {}
    rows = zip(starts.tolist(), ends.tolist(), strict=True)
    groups = np.array([seen.setdefault(data[a:b].tobytes(), len(seen)) for a, b in rows], np.int64)
    return groups, _first_rows(groups)


def _first_rows(groups: npt.NDArray[np.int64]) -> Positions:
    """Where each group number appears first; the numbers must count up from 0."""
    highest = np.maximum.accumulate(groups) if len(groups) else groups
    return np.flatnonzero(np.diff(highest, prepend=-1) > 0)
