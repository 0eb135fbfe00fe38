"""Plain numbers in a block of bytes, many rows at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MILLISECONDS_FROM = 1e11
"""A time of at least this many seconds (the year 5138) is taken as milliseconds."""


def parse_number(text: str) -> float:
    """A finite decimal number, or NaN."""
    try:
        value = float(text) if text.isascii() and "_" not in text else np.nan
    except ValueError:
        return np.nan
    return value if np.isfinite(value) else np.nan


def parse_epoch(value: float) -> float:
    """Seconds since 1970 from seconds or milliseconds."""
    return value / 1000 if abs(value) >= MILLISECONDS_FROM else value


def parse_numbers(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Numbers at ``data[starts:ends]``, NaN where there is none.

    Digits alone are read column by column; anything else by `parse_number`.
    """
    length = ends - starts
    value = np.zeros(len(starts), np.int64)
    digits = (length > 0) & (length <= 15)
    for offset in range(int(min(length.max(initial=0), 15))):
        inside = offset < length
        digit = data[starts + offset] - np.uint8(48)
        digits &= ~inside | (digit <= 9)
        value = np.where(inside, value * 10 + digit, value)
    out = np.where(digits, value, np.nan)
    for row in np.flatnonzero(~digits & (length > 0) & (length <= 40)).tolist():
        out[row] = parse_number(data[starts[row] : ends[row]].tobytes().decode("latin-1"))
    return out
