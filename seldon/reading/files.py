"""`read_interactions`: usage events from a file or a folder, in any of the known formats."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from seldon.errors import InvalidData, InvalidParameter
from seldon.interactions import Interactions, Vocabulary
from seldon.reading.actions import ActionReader
from seldon.reading.events import EventReader
from seldon.reading.layout import USAGE, Layout
from seldon.reading.parquet import parquet_columns, read_parquet
from seldon.reading.report import FaultLog, ParsingReport
from seldon.reading.text import Progress, decoded_line, text_blocks

Format = Literal["usage", "table", "actions", "parquet"]
Columns = Mapping[str, str | int]

ERROR_LIMIT = 100
_USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "user": ("user", "user_id", "userid", "client_userid"),
    "item": ("item", "item_id", "itemid", "client_itemid"),
    "time": ("time", "timestamp", "timestamp_utc"),
    "type": ("event_type", "eventtype"),
    "weight": ("weight", "value", "rating"),
}


def read_interactions(
    path: str | os.PathLike[str],
    *,
    format: Format | None = None,
    columns: Columns | None = None,
    separator: str | None = None,
    known_items: Vocabulary | None = None,
    now: float | None = None,
    error_limit: int | None = ERROR_LIMIT,
    relative_to: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> tuple[Interactions, ParsingReport]:
    """Read usage events.

    Memory follows the accepted events (some 20 bytes each) and the distinct ids, not the
    size of the files, which are read in blocks.

    Parameters
    ----------
    path : path
        A file, or a folder whose files (not those of folders in it, nor hidden ones) are read
        in the order of their names. Any of them may be gzip.
    format : str, optional
        ``"usage"``: comma-separated user, item, time, event type, weight without a header, by
        the rules of the Product Recommendations API. ``"table"``: delimited text with a header
        or with `columns` by position. ``"actions"``: Seldon's JSON lines, as the server's
        action log writes them or as the offline jobs do. ``"parquet"``. Without it the first
        file decides: its ending, ``{`` as its first character, a header with known names, or
        that `columns` or a `separator` are given.
    columns : mapping, optional
        Where ``"user"``, ``"item"`` and, if there are, ``"time"``, ``"type"`` and ``"weight"``
        are found: names of a header, or positions from 0 when there is none.
    separator : str, optional
        Of a table: one character; otherwise what the first line has: a tab, else a comma, else
        a semicolon.
    known_items : Vocabulary, optional
        Events of other items are left out and reported as `UnknownItemId`, a warning.
    now : float, optional
        Seconds since 1970 UTC, for events without a time; otherwise the moment of the call.
    error_limit : int or None
        One error more stops the reading.
    relative_to : path, optional
        Files are named in the report relative to this folder; otherwise as `path` begins.
    progress : callable, optional
        Told the number of bytes read, again and again.

    Returns
    -------
    Interactions, ParsingReport
        Ids are strings in the vocabularies, case preserved and trimmed. When nothing could
        be accepted the interactions are empty and the report says why.

    Raises
    ------
    InvalidData
        There is no such file, it is not text, its compression is broken, or a column is
        missing or there twice.
    InvalidParameter
        An option that the format does not have.
    """
    started = clock.perf_counter()
    files = input_files(path)
    faults = FaultLog(error_limit)
    now = clock.time() if now is None else now
    format = format or format_of(files[0], columns, separator)
    _check_options(format, columns, separator)
    if format == "parquet":
        rows = EventReader(_ANY_TABLE, faults, now, known_items)
        reader: EventReader | ActionReader = rows
        for file in files:
            places = _parquet_columns(file, columns)
            read_parquet(file, report_name(file, path, relative_to), places, rows)
            if progress is not None:
                progress(file.stat().st_size)
            if faults.full:
                break
    elif format == "actions":
        reader = actions = ActionReader(faults, now, known_items, progress)
        for file in files:
            actions.read(file, report_name(file, path, relative_to))
            if faults.full:
                break
    else:
        table = format == "table"
        reader = events = EventReader(
            _ANY_TABLE if table else USAGE, faults, now, known_items, progress
        )
        for file in files:
            layout = _table_layout(file, columns, separator) if table else USAGE
            if layout is not None:
                events.read(file, report_name(file, path, relative_to), layout)
            if faults.full:
                break
    duration = clock.perf_counter() - started
    return reader.interactions(), faults.report(reader.total, reader.successful, duration)


_ANY_TABLE = Layout(contract=False)


def input_files(path: str | os.PathLike[str]) -> list[Path]:
    """The files that `path` names: itself, or those directly in it, by name."""
    root = Path(path)
    if root.is_dir():
        files = sorted(
            entry for entry in root.iterdir() if entry.is_file() and not entry.name.startswith(".")
        )
        if not files:
            raise InvalidData(f"{root}: the folder has no files")
        return files
    if not root.is_file():
        what = (
            "is neither a file nor a folder" if root.exists() else "there is no such file or folder"
        )
        raise InvalidData(f"{root}: {what}")
    return [root]


def report_name(
    file: Path, path: str | os.PathLike[str], relative_to: str | os.PathLike[str] | None
) -> str:
    """What a file is called in a report."""
    if relative_to is None:
        return file.as_posix()
    return Path(os.path.relpath(file, relative_to)).as_posix()


def format_of(file: Path, columns: Columns | None = None, separator: str | None = None) -> Format:
    """The format of events that this file tells, or that these options are of."""
    name = file.name.lower().removesuffix(".gz")
    if name.endswith((".parquet", ".pq")):
        return "parquet"
    first = _first_line(file)
    if name.endswith((".json", ".jsonl", ".ndjson")) or first.lstrip().startswith("{"):
        return "actions"
    if columns is not None or separator is not None:
        return "table"
    names = {name.strip().strip('"').lower() for name in first.split(_separator(first))}
    known = [names & set(_USUAL_NAMES[column]) for column in ("user", "item")]
    return "table" if all(known) else "usage"


def _check_options(format: Format, columns: Columns | None, separator: str | None) -> None:
    """Refuse what would have no effect; the columns must be those that events have."""
    if separator is not None and format != "table":
        raise InvalidParameter(f"separator={separator!r} is for tables; the format is {format!r}")
    if separator is not None and (len(separator) != 1 or not separator.isascii()):
        raise InvalidParameter(f"separator={separator!r} is not one ASCII character")
    if columns is None:
        return
    if format not in ("table", "parquet"):
        raise InvalidParameter(f"columns are for tables and Parquet; the format is {format!r}")
    if set(columns) - set(_USUAL_NAMES) or not {"user", "item"} <= set(columns):
        raise InvalidParameter(
            f"columns={dict(columns)!r}: expected 'user' and 'item', "
            "and perhaps 'time', 'type' and 'weight'"
        )


def _parquet_columns(file: Path, columns: Columns | None) -> dict[str, str]:
    names = parquet_columns(file)
    return {column: names[at] for column, at in _named_positions(file, names, columns).items()}


def _first_line(file: Path) -> str:
    for block in text_blocks(file):
        for line in block.splitlines():
            if line.strip():
                return decoded_line(line)
    return ""


def _separator(line: str) -> str:
    return next((each for each in "\t,;" if each in line), ",")


def _table_layout(file: Path, columns: Columns | None, separator: str | None) -> Layout | None:
    """Where the columns of this file are; None for an empty file."""
    first = _first_line(file)
    if not first:
        return None
    separator = separator or _separator(first)
    if columns is not None and all(isinstance(place, int) for place in columns.values()):
        positions = {name: int(place) for name, place in columns.items()}
    else:
        header = [name.strip().strip('"').strip() for name in first.split(separator)]
        positions = _named_positions(file, header, columns)
    return Layout(
        positions["user"],
        positions["item"],
        positions.get("time"),
        positions.get("type"),
        positions.get("weight"),
        separator,
        header=columns is None or any(isinstance(place, str) for place in columns.values()),
        contract=False,
    )


def _named_positions(file: Path, header: list[str], columns: Columns | None) -> dict[str, int]:
    """Where each column stands in a header; those that `columns` gives by position stay."""
    named = header
    if columns is None:
        named = [name.lower() for name in header]
        found = {
            column: next((name for name in names if name in named), None)
            for column, names in _USUAL_NAMES.items()
        }
        if found["user"] is None or found["item"] is None:
            raise InvalidData(
                f"{file}: its columns {header!r} are not known as user and item; "
                "say which they are with a column map"
            )
        columns = {column: name for column, name in found.items() if name is not None}
    positions = {}
    for column, name in columns.items():
        if isinstance(name, int):
            positions[column] = name
        elif named.count(name) == 1:
            positions[column] = named.index(name)
        else:
            many = "two columns" if name in named else "no column"
            raise InvalidData(f"{file}: has {many} {name!r} for {column!r}: {header!r}")
    return positions
