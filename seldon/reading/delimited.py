"""Events from delimited text: whole blocks of clean lines at once, the others one by one.

The exact rules live in `split_record` and `Block._record`, which can read any line. The fast
path reads the lines where those rules come to plain cutting at separators: no quote, no NUL,
ASCII only, ids of moderate length. A test holds the two to the same answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seldon.interactions import EVENT_WEIGHTS
from seldon.reading.interning import LONGEST, PAD
from seldon.reading.layout import ACCEPTED, BLANK, STATUS, Layout
from seldon.reading.numbers import (
    MILLISECONDS_FROM,
    parse_epoch,
    parse_number,
    parse_numbers,
)
from seldon.reading.report import EXCERPT, Sample
from seldon.reading.text import RECORD_LIMIT, Malformed, decoded_line, split_record
from seldon.reading.times import parse_time, parse_times

if TYPE_CHECKING:
    from seldon.reading.events import EventReader

Positions = npt.NDArray[np.int64]


class Block:
    """Whole lines of one file, `final` when nothing follows them.

    After `read`, `rest` holds the bytes of a record that is not complete and `next_number`
    the number of its first line.
    """

    def __init__(
        self, reader: EventReader, layout: Layout, text: bytes, number: int, name: str, final: bool
    ) -> None:
        self.reader, self.layout, self.text, self.name = reader, layout, text, name
        self.number, self.final = number, final
        self.data = np.frombuffer(text + bytes(PAD), np.uint8)
        newlines = np.flatnonzero(self.data[: len(text)] == ord("\n"))
        if not text.endswith(b"\n"):
            newlines = np.append(newlines, len(text))
        self.ends = newlines
        self.starts = np.concatenate([[0], newlines[:-1] + 1])
        self.status = np.zeros(len(newlines), np.int8)
        self.user = np.zeros(len(newlines), np.int64)
        self.item = np.zeros(len(newlines), np.int64)
        self.time = np.full(len(newlines), reader.now)
        self.weight = np.ones(len(newlines))
        self.rest = b""
        self.next_number = number + len(newlines)

    def read(self, skip_header: bool) -> bool:
        """Read the records; returns whether the header is still to come."""
        begins, stops = self._trimmed(self.starts, self.ends)
        filled = begins < stops
        if skip_header:
            header = np.flatnonzero(filled)[:1]
            filled[header] = False
            skip_header = not len(header)
        plain = filled & ~self._unusual_lines()
        fields = self._read_plain(np.flatnonzero(plain))
        self._read_others(np.flatnonzero(filled & ~plain | fields).tolist())
        columns = (self.user, self.item, self.time, self.weight)
        self.reader.settle(self.status, columns, self._sample)
        return skip_header

    def _unusual_lines(self) -> npt.NDArray[np.bool_]:
        """Lines with a quote, a NUL or a letter outside ASCII."""
        unusual = np.zeros(len(self.starts), np.bool_)
        if b'"' in self.text or b"\0" in self.text or not self.text.isascii():
            bytes_ = self.data[: len(self.text)]
            places = np.flatnonzero((bytes_ == ord('"')) | (bytes_ == 0) | (bytes_ >= 128))
            unusual[np.searchsorted(self.ends, places)] = True
        return unusual

    def _trimmed(self, starts: Positions, ends: Positions) -> tuple[Positions, Positions]:
        """Bounds without the ASCII blanks around."""
        rows = np.flatnonzero(_BLANKS[self.data[starts]] & (starts < ends))
        if len(rows):
            starts = starts.copy()
        while len(rows):
            starts[rows] += 1
            rows = rows[(starts[rows] < ends[rows]) & _BLANKS[self.data[starts[rows]]]]
        rows = np.flatnonzero(_BLANKS[self.data[ends - 1]] & (starts < ends))
        if len(rows):
            ends = ends.copy()
        while len(rows):
            ends[rows] -= 1
            rows = rows[(starts[rows] < ends[rows]) & _BLANKS[self.data[ends[rows] - 1]]]
        return starts, ends

    def _read_plain(self, lines: Positions) -> npt.NDArray[np.bool_]:
        """Read lines that need no more than cutting; returns which of all lines still need it."""
        reader, layout = self.reader, self.layout
        left = np.zeros(len(self.starts), np.bool_)
        separators = np.flatnonzero(self.data[: len(self.text)] == ord(layout.separator))
        starts, ends = self.starts[lines], self.ends[lines]
        first = np.searchsorted(separators, starts)
        count = np.searchsorted(separators, ends) - first
        separators = np.append(separators, [len(self.text)])

        def column(index: int) -> tuple[Positions, Positions]:
            """Bounds of a field; an absent one is empty and begins at its line's end."""
            last = len(separators) - 1
            begin = starts
            if index:
                before = separators[np.minimum(first + index - 1, last)]
                begin = np.where(count >= index, before + 1, ends)
            stop = np.where(count > index, separators[np.minimum(first + index, last)], ends)
            return self._trimmed(begin, stop)

        user, item = column(layout.user), column(layout.item)
        long = (user[1] - user[0] > LONGEST) | (item[1] - item[0] > LONGEST)
        long |= ends - starts > RECORD_LIMIT
        if long.any():
            left[lines[long]] = True
            return left | self._read_plain(lines[~long])
        missing = (user[0] == user[1]) | (item[0] == item[1])
        missing |= count < max(layout.user, layout.item)
        self.user[lines] = reader.users.codes(self.data, *user)
        self.item[lines] = reader.items.codes(self.data, *item)
        status = reader.users.marks(self.user[lines]).astype(np.int8)
        of_item = reader.items.marks(self.item[lines]).astype(np.int8)
        status = np.where(of_item == ACCEPTED, status, of_item)
        if layout.weight is not None or layout.event_type is not None:
            bad = self._read_weights(lines, count, column)
            status = np.where(bad, STATUS["BadWeightFormat"], status)
        if layout.time is not None:
            present = count >= layout.time
            time = self._times(*column(layout.time))
            self.time[lines] = np.where(present, time, reader.now)
            status = np.where(present & np.isnan(time), STATUS["BadTimestampFormat"], status)
        self.status[lines] = np.where(missing, STATUS["MissingFields"], status)
        return left

    def _times(self, begins: Positions, stops: Positions) -> npt.NDArray[np.float64]:
        times = parse_times(self.data, begins, stops)
        if not self.layout.contract and np.isnan(times).any():
            rows = np.flatnonzero(np.isnan(times))
            numbers = parse_numbers(self.data, begins[rows], stops[rows])
            times[rows] = np.where(abs(numbers) >= MILLISECONDS_FROM, numbers / 1000, numbers)
        return times

    def _read_weights(
        self,
        lines: Positions,
        count: Positions,
        column: Callable[[int], tuple[Positions, Positions]],
    ) -> npt.NDArray[np.bool_]:
        """Set the weights; returns which rows have one that cannot be read."""
        bad = np.zeros(len(lines), np.bool_)
        sources = (
            (self.layout.event_type, self.reader.types),
            (self.layout.weight, self.reader.weights),
        )
        for index, interner in sources:
            if index is None or not (count >= index).any():
                continue
            begins, stops = column(index)
            rows = np.flatnonzero((stops > begins) & (stops - begins <= LONGEST))
            codes = interner.codes(self.data, begins[rows], stops[rows])
            values = interner.marks(codes)
            readable = np.isfinite(values)
            self.weight[lines[rows[readable]]] = values[readable]
            bad[rows[~readable]] = True
            bad |= stops - begins > LONGEST
        return bad & (not self.layout.contract)

    def _read_others(self, lines: list[int]) -> None:
        """Read the records that begin at these lines with the exact rules."""
        done = 0
        for line in lines:
            if line < done:
                continue
            following = _Lines(self, line)
            if not following.first.strip():
                continue
            try:
                fields = split_record(following.first, following, self.layout.separator)
            except Malformed:
                fields = None
            except _MoreNeeded:
                self.rest = self.text[self.starts[line] :]
                self.next_number = self.number + line
                self.status[line:] = BLANK
                return
            done = following.last + 1
            self.status[line:done] = BLANK  # a clean line may have been inside quotes
            if fields is None:
                self.status[line] = STATUS["MalformedLine"]
            else:
                self._record(following.last, fields)

    def _record(self, line: int, fields: list[str]) -> None:
        reader, layout = self.reader, self.layout

        def field(index: int | None) -> str | None:
            return fields[index] if index is not None and index < len(fields) else None

        user, item, time = field(layout.user), field(layout.item), field(layout.time)
        if not user or not item:
            self.status[line] = STATUS["MissingFields"]
            return
        self.user[line] = reader.users.code(user.encode())
        self.item[line] = reader.items.code(item.encode())
        statuses = [
            *reader.items.marks(self.item[line : line + 1]),
            *reader.users.marks(self.user[line : line + 1]),
        ]
        weight = parse_number(field(layout.weight) or "")
        if field(layout.weight) and np.isnan(weight) and not layout.contract:
            statuses.insert(0, STATUS["BadWeightFormat"])
        if np.isnan(weight):
            weight = EVENT_WEIGHTS.get((field(layout.event_type) or "").lower(), 1.0)
        self.weight[line] = weight
        if time is not None:
            seconds = parse_time(time)
            if seconds is None and not layout.contract:
                number = parse_epoch(parse_number(time))
                seconds = None if np.isnan(number) else number
            if seconds is None:
                statuses.insert(0, STATUS["BadTimestampFormat"])
            self.time[line] = reader.now if seconds is None else seconds
        self.status[line] = next((int(s) for s in statuses if s != ACCEPTED), ACCEPTED)

    def _sample(self, line: int) -> Sample:
        text = self.text[self.starts[line] : self.starts[line] + 4 * EXCERPT]
        return Sample(self.name, self.number + line, decoded_line(text.partition(b"\n")[0]))


_BLANKS = np.zeros(256, np.bool_)
_BLANKS[[9, 11, 12, 13, 32, 28, 29, 30, 31]] = True


class _MoreNeeded(Exception):
    """A quoted field goes on beyond the block."""


class _Lines:
    """The lines of a record that begins at `line`: the first, then each that a quote runs into."""

    def __init__(self, block: Block, line: int) -> None:
        self._block = block
        self.last = line
        self.first = self._text(line)

    def __call__(self) -> str | None:
        line = self.last
        while (line := line + 1) < len(self._block.starts):
            text = self._text(line)
            if text.strip():
                self.last = line
                return text
        if self._block.final:
            self.last = len(self._block.starts) - 1
            return None
        raise _MoreNeeded

    def _text(self, line: int) -> str:
        block = self._block
        return decoded_line(block.text[block.starts[line] : block.ends[line] + 1])
