"""From the bytes in memcached to a list of ids: every writer's form, no pickle, no bomb."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson

from seldon.candidates import Ids

GZIP, ZLIB = 2, 8
READABLE_FLAGS = (0, 16)  # Java's and pylibmc's text and bytes
MAX_INFLATED_BYTES = 8 * 2**20
MAX_RUNS = 64
WORDS = 16  # characters of the two words that a number is loaded as
ITEM = "item"


class UnreadableList(ValueError):
    """The value under a key is not a list of item ids."""


@dataclass(frozen=True)
class ParsedList:
    """Ids of a list, sorted and distinct, and whether it was cut."""

    ids: Ids
    cut: bool


def read_list(flags: int, data: bytes | bytearray, most: int) -> ParsedList:
    """Parse a value as the Seldon server, or a Python process, wrote it.

    Parameters
    ----------
    flags : int
        0 or 16: text. With 2 and gzip's magic, or 8: compressed, up to 8 MiB of text.
    data : bytes or bytearray
        ``[9958,9957]`` or ``[{"item":9958,"score":4995.0}]``.
    most : int
        Only the first `most` ids are read: the newest, or the most popular.

    Raises
    ------
    UnreadableList
        Any other value, with the reason.
    """
    text = _inflated(flags, data)
    ids, cut = _plain_ids(text, most) or _json_ids(text, most)
    return ParsedList(_sorted_distinct(ids), cut)


def _inflated(flags: int, data: bytes | bytearray) -> bytes | bytearray:
    if flags in READABLE_FLAGS:
        return data
    if flags == GZIP and data[:2] == b"\x1f\x8b":
        window = 31
    elif flags & ~16 == ZLIB:
        window = 15
    else:
        raise UnreadableList(f"its flags are {flags}: a pickle, an object or a number, not JSON")
    inflater = zlib.decompressobj(window)
    try:
        text = inflater.decompress(data, MAX_INFLATED_BYTES)
    except zlib.error as error:
        raise UnreadableList(f"it does not inflate: {error}") from error
    if inflater.unconsumed_tail or not inflater.eof:
        raise UnreadableList(f"it inflates to more than {MAX_INFLATED_BYTES} bytes or is cut off")
    return text


def _plain_ids(text: bytes | bytearray, most: int) -> tuple[Ids, bool] | None:
    """Ids of ``[12,345,…]`` eight digits at a time, or None if it is anything else.

    `json` makes a Python object of every id: 20 ms for 100,000. A list sorted by age has a few
    runs of ids of the same width; of each run the last eight digits of every id are loaded as
    one 64-bit number, and summed pairwise for all ids at once. Nothing of the text is copied.
    """
    if b", " in text[:32]:  # as Python writes it
        text = text.replace(b", ", b",")
    start = text.find(b",", WORDS) + 1
    if text[:1] != b"[" or not text[1:2].isdigit() or text[-1:] != b"]" or not start:
        return None
    head, cut = _json_ids(text[: start - 1] + b"]", most)  # before which no word can be loaded
    runs, found = [head], len(head)
    characters = np.frombuffer(text, np.uint8)
    while start < len(text) and found < most:
        end = text.find(b",", start)
        width = (len(text) - 1 if end < 0 else end) - start
        commas = characters[start + width :: width + 1] == ord(",")
        count = len(commas) if commas.all() else int(np.argmin(commas))
        count = min(max(count, 1), most - found)
        ids = _run(characters, start, width, count)
        if ids is None or len(runs) > MAX_RUNS:
            return None
        runs.append(ids)
        found += count
        start += count * (width + 1)
    return np.concatenate(runs), cut or start < len(text)


def _run(characters: npt.NDArray[np.uint8], start: int, width: int, count: int) -> Ids | None:
    """`count` numbers of `width` digits, each `width` + 1 characters after the one before."""
    if not 0 < width <= 16:
        return None
    if width > 1 and (characters[start :: width + 1][:count] == ord("0")).any():
        return None  # JSON has no leading zeros
    offset, step = start + width - 8, (width + 1,)
    last = np.ndarray((count,), "<u8", characters, offset, step)
    ids = _eight_digits(last, min(width, 8))
    if width <= 8 or ids is None:
        return ids
    first = _eight_digits(np.ndarray((count,), "<u8", characters, offset - 8, step), width - 8)
    return None if first is None else first * 100_000_000 + ids


def _eight_digits(words: npt.NDArray[np.uint64], digits: int) -> Ids | None:
    """The number in the last `digits` (1 to 8) characters of each little-endian word.

    Pairwise sums as in D. Lemire, "Quickly parsing eight digits" (2018).
    """
    value = words ^ np.uint64(0x3030303030303030)
    if digits < 8:
        value >>= np.uint64((8 - digits) * 8)
        value <<= np.uint64((8 - digits) * 8)
    above_nine = value + np.uint64(0x7676767676767676)
    above_nine |= value
    if np.bitwise_or.reduce(above_nine) & np.uint64(0x8080808080808080):
        return None
    value *= np.uint64(2561)
    value >>= np.uint64(8)
    value &= np.uint64(0x00FF00FF00FF00FF)
    value *= np.uint64(6553601)
    value >>= np.uint64(16)
    value &= np.uint64(0x0000FFFF0000FFFF)
    value *= np.uint64(42949672960001)
    value >>= np.uint64(32)
    return value.view(np.int64)


def _json_ids(text: bytes | bytearray, most: int) -> tuple[Ids, bool]:
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UnreadableList(f"it is not JSON: {error}") from error
    if not isinstance(values, list):
        raise UnreadableList(f"it is a JSON {type(values).__name__}, not a list")
    cut = len(values) > most
    values = values[:most]
    if values and isinstance(values[0], dict):
        values = [value.get(ITEM) if isinstance(value, dict) else None for value in values]
    if values and set(map(type, values)) != {int}:  # bool is not int here
        wrong = next(value for value in values if type(value) is not int)
        raise UnreadableList(f"{wrong!r} in it is not an item id")
    try:
        return np.array(values, np.int64), cut
    except OverflowError as error:
        raise UnreadableList(f"an item id in it has over 64 bits: {error}") from error


def _sorted_distinct(ids: Ids) -> Ids:
    if len(ids) < 2:
        return ids
    earlier, later = ids[:-1], ids[1:]
    if (earlier < later).all():
        return ids
    if (earlier > later).all():  # newest first, as Java writes it
        return np.ascontiguousarray(ids[::-1])
    ids = np.sort(ids)  # np.unique hashes first, at four times the cost
    return ids[np.concatenate(([True], ids[1:] != ids[:-1]))]
