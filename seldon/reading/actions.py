"""Seldon's action log: JSON lines, one action each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson

from seldon.interactions import Interactions, Vocabulary
from seldon.reading.events import EventReader
from seldon.reading.layout import USER_ID_LIMIT, Layout
from seldon.reading.numbers import parse_epoch, parse_number
from seldon.reading.report import FaultLog, Sample
from seldon.reading.text import Progress, decoded_line, text_blocks
from seldon.reading.times import parse_time


class ActionReader:
    """Reads action logs into events.

    Two shapes are documented and may be mixed: that of the offline jobs, with numbers and
    ``timestamp_utc``, and the server's own log line, whose numbers are strings and which has
    no time unless the log collector put one in front, separated by tabs. The internal ids
    ``userid`` and ``itemid`` are used; an action whose user is not known yet (0) has only the
    client's own id, and is a `MissingFields`.

    Parameters
    ----------
    faults : FaultLog
    now : float
        Seconds since 1970 UTC, for actions without a time.
    known_items : Vocabulary, optional
    progress : callable, optional
    """

    def __init__(
        self,
        faults: FaultLog,
        now: float,
        known_items: Vocabulary | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._events = EventReader(Layout(contract=False), faults, now, known_items)
        self._faults, self._now, self._progress = faults, now, progress
        self.total = 0

    @property
    def successful(self) -> int:
        return self._events.successful

    def interactions(self) -> Interactions:
        return self._events.interactions()

    def read(self, path: Path, name: str) -> None:
        number = 0
        for block in text_blocks(path, self._progress):
            actions: list[tuple[int, int, float, float]] = []
            for line in block.split(b"\n")[: -1 if block.endswith(b"\n") else None]:
                number += 1
                if not line.strip():
                    continue
                self.total += 1
                action = self._action(line)
                if isinstance(action, str):
                    warning = action == "UnknownItemId"
                    shown = decoded_line(line)
                    self._faults.add(action, Sample(name, number, shown), warning=warning)
                    if self._faults.full:
                        break
                    continue
                actions.append(action)
            # Numbers below 2**53 are whole in float64, so one array holds all four columns.
            self._events.accept(*np.array(actions, np.float64).reshape(-1, 4).T)
            if self._faults.full:
                return

    def _action(self, line: bytes) -> tuple[int, int, float, float] | str:
        """User and item numbers, seconds and weight; or the name of what is wrong."""
        time: Any = None
        if not line.lstrip().startswith(b"{"):
            # Log collector: time, tag and the line, separated by tabs.
            time, _, line = line.partition(b"\t")
            line = line[line.find(b"{") :] if b"{" in line else b""
            time = time.decode("latin-1").strip()
        try:
            action = orjson.loads(line)
        except ValueError:
            return "MalformedLine"
        if not isinstance(action, dict):
            return "MalformedLine"
        user, item = _id(action.get("userid")), _id(action.get("itemid"))
        if user is None or item is None or user == "0":
            return "MissingFields"
        seconds = _seconds(action.get("timestamp_utc", time), self._now)
        if seconds is None:
            return "BadTimestampFormat"
        weight = parse_number(str(action.get("value", 1)))
        if np.isnan(weight):
            return "BadWeightFormat"
        if len(user) > USER_ID_LIMIT:
            return "UserIdTooLong"
        number, mark = self._events.item_number(item)
        return mark or (self._events.users.code(user.encode()), number, seconds, weight)


def _id(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    text = str(value).strip()
    return text or None


def _seconds(value: Any, now: float) -> float | None:
    if value is None:
        return now
    seconds = parse_time(str(value))
    if seconds is None:
        number = parse_epoch(parse_number(str(value)))
        return None if np.isnan(number) else number
    return seconds
