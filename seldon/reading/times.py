"""Times in usage files, one by one and many at once, as seconds since 1970 UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import numpy.typing as npt

_CLOCK = r"(?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2})(?:\.(?P<f>\d{1,9}))?)?"
_ISO = re.compile(
    r"(?P<Y>\d{4})(?P<sep>[-/])(?P<M>\d{1,2})(?P=sep)(?P<D>\d{1,2})"
    rf"(?:[T ]{_CLOCK}\s*(?P<zone>Z|[+-]\d{{2}}:?\d{{2}})?)?",
    re.ASCII,
)
_US = re.compile(
    rf"(?P<M>\d{{1,2}})/(?P<D>\d{{1,2}})/(?P<Y>\d{{4}}|\d{{2}})"
    rf"(?: +{_CLOCK} *(?P<half>[AaPp][Mm])?)?",
    re.ASCII,
)


def parse_time(text: str) -> float | None:
    """Seconds since 1970-01-01 UTC, or None when `text` is not a time.

    Accepted: ``yyyy-MM-dd`` with optional ``[T| ]HH:mm[:ss[.f…]]`` and then ``Z`` or an
    offset; the same with ``/``; ``M/d/yyyy`` or ``M/d/yy`` with optional
    ``h:mm[:ss] [AM|PM]``. A time without a zone is UTC; a clock time without a date is none.
    """
    match = _ISO.fullmatch(text) or _US.fullmatch(text)
    if match is None:
        return None
    part = match.groupdict()
    hour = int(part["h"] or 0)
    if part.get("half"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (part["half"].lower() == "pm")
    year = int(part["Y"])
    if len(part["Y"]) == 2:
        year += 2000 if year < 50 else 1900  # .NET's rule for two digits
    try:
        moment = datetime(
            year, int(part["M"]), int(part["D"]), hour, int(part["m"] or 0), int(part["s"] or 0),
            tzinfo=_zone(part.get("zone")),
        )  # fmt: skip
    except ValueError:
        return None
    fraction = float(f"0.{part['f']}") if part["f"] else 0.0
    return _seconds(moment) + fraction


def _zone(text: str | None) -> timezone:
    if not text or text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _seconds(moment: datetime) -> float:
    # datetime.timestamp would do, but is a float division; whole seconds stay whole here.
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return float(since.days * 86400 + since.seconds)


_DAYS_BEFORE_MONTH = np.array([0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334])
_DAYS_IN_MONTH = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def parse_times(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Times at ``data[starts:ends]``, NaN where there is none.

    The usual forms (``yyyy-MM-ddTHH:mm:ss``, with ``/`` or a blank as well, with a fraction of
    a second or ``Z``) are read column by column for all rows; the rest by `parse_time`.

    Parameters
    ----------
    data : ndarray of uint8
        At least 32 bytes longer than the last of `ends`.
    starts, ends : ndarray of int64, shape (n,)
    """
    length = ends - starts
    out = np.full(len(starts), np.nan)
    usual = np.flatnonzero((length >= 19) & (length <= 27))
    seconds, well_formed = _usual_times(data, starts[usual], length[usual])
    out[usual[well_formed]] = seconds[well_formed]
    read = np.zeros(len(starts), np.bool_)
    read[usual[well_formed]] = True
    for row in np.flatnonzero(~read & (length > 0) & (length <= 40)).tolist():
        text = data[starts[row] : ends[row]].tobytes().decode("ascii", "replace")
        moment = parse_time(text)
        if moment is not None:
            out[row] = moment
    return out


def _usual_times(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], length: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    # Eight bytes from any offset as one number: three gathers instead of nineteen.
    eights = np.ndarray((len(data) - 7,), "<u8", buffer=data, strides=(1,))
    words = eights[starts[:, None] + np.array([0, 8, 16])]
    text = np.ascontiguousarray(words.view(np.uint8).T)
    digits = text - np.uint8(48)  # wraps below "0", so one test does
    good = np.ones(len(starts), np.bool_)

    def number(first: int, size: int) -> npt.NDArray[np.int64]:
        value = np.zeros(len(starts), np.int64)
        for digit in digits[first : first + size]:
            np.logical_and(good, digit <= 9, out=good)
            value = value * 10 + digit
        return value

    year, month, day = number(0, 4), number(5, 2), number(8, 2)
    hour, minute, second = number(11, 2), number(14, 2), number(17, 2)
    good &= ((text[4] == ord("-")) | (text[4] == ord("/"))) & (text[7] == text[4])
    good &= (text[10] == ord("T")) | (text[10] == ord(" "))
    good &= (text[13] == ord(":")) & (text[16] == ord(":"))
    good &= (month >= 1) & (month <= 12) & (hour < 24) & (minute < 60) & (second < 60) & (year > 0)
    month = np.where(good, month, 1)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    good &= (day >= 1) & (day <= _DAYS_IN_MONTH[month] + (leap & (month == 2)))
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400
    days += _DAYS_BEFORE_MONTH[month] + (leap & (month > 2)) + day - 1 - 719162
    whole = ((days * 24 + hour) * 60 + minute) * 60 + second
    seconds = whole.astype(np.float64)
    if len(length) and length.max() > 19:
        seconds += _fractions(data, starts, length, good)
    return seconds, good


def _fractions(
    data: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    length: npt.NDArray[np.int64],
    good: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """What stands after the seconds: nothing, ``Z``, ``.f…`` or ``.f…Z``; `good` loses others."""
    ticks = np.zeros(len(starts), np.int64)
    stop = length - (data[starts + length - 1] == ord("Z"))
    longer = stop > 19
    good &= ~longer | ((data[starts + 19] == ord(".")) & (stop > 20))
    for offset in range(20, 27):
        inside = offset < stop
        digit = data[starts + offset] - np.uint8(48)
        good &= ~inside | (digit <= 9)
        ticks = ticks * 10 + np.where(inside, digit, 0)
    return ticks / 1e7
