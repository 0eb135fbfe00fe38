"""`EventReader`: files to events, with the ids' own rules and the count of faults."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seldon.interactions import EVENT_WEIGHTS, Interactions, Vocabulary
from seldon.reading.delimited import Block
from seldon.reading.interning import Interner
from seldon.reading.layout import (
    ACCEPTED,
    BLANK,
    FAULTS,
    ITEM_ID_LIMIT,
    STATUS,
    USER_ID_LIMIT,
    WARNINGS,
    Layout,
)
from seldon.reading.numbers import parse_number
from seldon.reading.report import FaultLog, Sample
from seldon.reading.text import Progress, text_blocks

_WARNING_CODES = [STATUS[name] for name in WARNINGS]
_PLAIN_USER = re.compile(rb"[A-Za-z0-9_-]*")


class EventReader:
    """Reads files into events.

    Parameters
    ----------
    layout : Layout
    faults : FaultLog
    now : float
        Seconds since 1970 UTC, for events without a time.
    known_items : Vocabulary, optional
        Strings; an item that is not among them is an `UnknownItemId`.
    progress : callable, optional
    """

    def __init__(
        self,
        layout: Layout,
        faults: FaultLog,
        now: float,
        known_items: Vocabulary | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.layout = layout
        self.faults = faults
        self.now = now
        self.total = 0
        self.successful = 0
        self._known = None if known_items is None else frozenset(known_items.ids.tolist())
        self._progress = progress
        self._accepted: list[tuple[npt.NDArray[Any], ...]] = []
        self.users = Interner(_user_status if layout.contract else _any_user_status)
        self.items = Interner(self._item_status)
        self.types = Interner(lambda text: EVENT_WEIGHTS.get(text.decode("latin-1").lower(), 1.0))
        self.weights = Interner(lambda text: parse_number(text.decode("latin-1")))

    def read(self, path: Path, name: str, layout: Layout | None = None) -> None:
        """Read one file, called `name` in the report; stops when there are too many errors."""
        layout = layout or self.layout
        number = 1
        rest = b""
        skip_header = layout.header
        for text in text_blocks(path, self._progress):
            block = Block(self, layout, rest + text, number, name, final=False)
            skip_header = block.read(skip_header)
            number, rest = block.next_number, block.rest
            if self.faults.full:
                return
        if rest:
            Block(self, layout, rest, number, name, final=True).read(skip_header)

    def interactions(self) -> Interactions:
        """What was accepted so far, in file order."""
        columns = [np.concatenate(parts) for parts in zip(*self._accepted, strict=True)] or [
            np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0), np.empty(0, np.float32),
        ]  # fmt: skip
        user, item, time, weight = columns
        users, user = _sorted_vocabulary(self.users, user)
        items, item = _sorted_vocabulary(self.items, item)
        return Interactions(users, items, user, item, time, weight)

    def settle(
        self,
        status: npt.NDArray[Any],
        columns: tuple[npt.NDArray[Any], ...],
        sample: Callable[[int], Sample],
    ) -> None:
        """Count the records of a block, and accept those without a fault.

        The error that is one more than the limit ends it: what follows is left out.

        Parameters
        ----------
        status : ndarray of int, shape (n,)
            A position in `FAULTS`, or `ACCEPTED`, or `BLANK` where there is no record.
        columns : tuple of ndarray, shape (n,)
            User and item numbers, seconds, weights.
        sample : callable
            Tells where a row of the block stands.
        """
        faults = self.faults
        errors = np.flatnonzero((status > ACCEPTED) & ~np.isin(status, _WARNING_CODES))
        if faults.left is not None and len(errors) > faults.left:
            status = status.copy()
            status[errors[faults.left] + 1 :] = BLANK
        self.total += int(np.count_nonzero(status))
        kinds, first = np.unique(status[status > ACCEPTED], return_index=True)
        for code in kinds[np.argsort(first)].tolist():
            rows = np.flatnonzero(status == code).tolist()
            warning = FAULTS[code] in WARNINGS
            faults.add_rows(FAULTS[code], rows, sample, warning=warning)
        accepted = status == ACCEPTED
        self.accept(*(values[accepted] for values in columns))

    def accept(self, *columns: npt.NDArray[Any]) -> None:
        """Take accepted events: user and item numbers, seconds, weights."""
        self.successful += len(columns[0])
        user, item, time, weight = columns
        self._accepted.append(
            (user.astype(np.int32), item.astype(np.int32), time, weight.astype(np.float32))
        )

    def item_number(self, item: str) -> tuple[int, str]:
        """An item's number, and the fault it has, if any."""
        number = self.items.code(item.encode())
        return number, FAULTS[int(self.items.marks(np.array([number]))[0])]

    def _item_status(self, item: bytes) -> int:
        text = item.decode()
        if len(text) > ITEM_ID_LIMIT:
            return STATUS["ItemIdTooLong"]
        if self._known is not None and text not in self._known:
            return STATUS["UnknownItemId"]
        return ACCEPTED


def _user_status(user: bytes) -> int:
    if len(user) <= USER_ID_LIMIT and _PLAIN_USER.fullmatch(user):
        return ACCEPTED
    text = user.decode()
    if len(text) > USER_ID_LIMIT:
        return STATUS["UserIdTooLong"]
    if not all(char.isalpha() or char.isdecimal() or char in "-_" for char in text):
        return STATUS["IllegalCharactersInUserId"]
    return ACCEPTED


def _any_user_status(user: bytes) -> int:
    return STATUS["UserIdTooLong"] if len(user.decode()) > USER_ID_LIMIT else ACCEPTED


def _sorted_vocabulary(
    interner: Interner, codes: npt.NDArray[np.int32]
) -> tuple[Vocabulary, npt.NDArray[np.int32]]:
    """Ids that occur, in rising order, and the events' positions among them."""
    occurs = np.zeros(len(interner), np.bool_)
    occurs[codes] = True
    texts = interner.texts
    # UTF-8 sorts as its code points do.
    kept = sorted(np.flatnonzero(occurs).tolist(), key=texts.__getitem__)
    position = np.zeros(len(texts), np.int32)
    position[kept] = np.arange(len(kept), dtype=np.int32)
    ids = np.array([texts[code].decode() for code in kept], np.str_)
    return Vocabulary.of_sorted(ids), position[codes]
