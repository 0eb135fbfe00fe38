"""`read_interactions`: usage events from a file or a folder, in any of the known formats."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from seldon.errors import InvalidData
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
        file decides: its ending, ``{`` as its first character, or a header with known names.
    columns : mapping, optional
        Where ``"user"``, ``"item"`` and, if there are, ``"time"``, ``"type"`` and ``"weight"``
        are found: names of a header, or positions from 0 when there is none.
    separator : str, optional
        Of a table: one character; otherwise a comma, or a tab where the first line has one.
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
        missing.
    """
    started = clock.perf_counter()
    files = input_files(path)
    faults = FaultLog(error_limit)
    now = clock.time() if now is None else now
    format = format or _format(files[0], columns)
    if format == "parquet":
        rows = EventReader(_ANY_TABLE, faults, now, known_items)
        reader: EventReader | ActionReader = rows
        for file in files:
            places = _parquet_columns(file, columns)
            read_parquet(file, report_name(file, path, relative_to), places, rows)
            if progress is not None:
                progress(file.stat().st_size)
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
        raise InvalidData(f"{root}: there is no such file or folder")
    return [root]


def report_name(
    file: Path, path: str | os.PathLike[str], relative_to: str | os.PathLike[str] | None
) -> str:
    """What a file is called in a report."""
    if relative_to is None:
        return file.as_posix()
    return Path(os.path.relpath(file, relative_to)).as_posix()


def _format(file: Path, columns: Columns | None) -> Format:
    name = file.name.lower().removesuffix(".gz")
    if name.endswith((".parquet", ".pq")):
        return "parquet"
    first = _first_line(file)
    if name.endswith((".json", ".jsonl", ".ndjson")) or first.lstrip().startswith("{"):
        return "actions"
    if columns is not None:
        return "table"
    names = {name.strip().strip('"').lower() for name in first.split(_separator(first))}
    known = [names & set(_USUAL_NAMES[column]) for column in ("user", "item")]
    return "table" if all(known) else "usage"


def _parquet_columns(file: Path, columns: Columns | None) -> Columns:
    if columns is not None:
        return columns
    names = parquet_columns(file)
    return {column: names[at] for column, at in _named_positions(file, names, None).items()}


def _first_line(file: Path) -> str:
    for block in text_blocks(file):
        for line in block.splitlines():
            if line.strip():
                return decoded_line(line)
    return ""


def _separator(line: str) -> str:
    return "\t" if "\t" in line else ","


def _table_layout(file: Path, columns: Columns | None, separator: str | None) -> Layout | None:
    """Where the columns of this file are; None for an empty file."""
    first = _first_line(file)
    if not first:
        return None
    separator = separator or _separator(first)
    if len(separator) != 1 or not separator.isascii():
        raise InvalidData(f"separator={separator!r} is not one ASCII character")
    if columns is not None and all(isinstance(place, int) for place in columns.values()):
        positions = {name: int(place) for name, place in columns.items()}
    else:
        header = [name.strip().strip('"').strip() for name in first.split(separator)]
        positions = _named_positions(file, header, columns)
    unknown = set(positions) - set(_USUAL_NAMES)
    if unknown or not {"user", "item"} <= set(positions):
        raise InvalidData(
            f"columns={dict(columns or {})!r}: expected 'user' and 'item', "
            "and perhaps 'time', 'type' and 'weight'"
        )
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
    lower = [name.lower() for name in header]
    if columns is None:
        found = {
            column: next((lower.index(name) for name in names if name in lower), None)
            for column, names in _USUAL_NAMES.items()
        }
        if found["user"] is None or found["item"] is None:
            raise InvalidData(
                f"{file}: its first line {header!r} names no user and item columns; "
                "say which they are with a column map"
            )
        return {column: place for column, place in found.items() if place is not None}
    positions = {}
    for column, name in columns.items():
        if isinstance(name, int):
            positions[column] = name
        elif name in header:
            positions[column] = header.index(name)
        else:
            raise InvalidData(f"{file}: has no column {name!r} for {column!r}, but {header!r}")
    return positions
