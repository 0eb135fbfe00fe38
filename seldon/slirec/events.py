"""Events of a shop: who did what when, with the category the event carries."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seldon.errors import InvalidParameter
from seldon.whole_files import whole_file

COLUMNS = {
    "user": "user_id",
    "item": "item_handle",
    "time": "timestamp",
    "category": "item_category",
}
Text = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Events:
    """Events as parallel arrays, in file order.

    Attributes
    ----------
    user, item, category : ndarray of str, shape (n_events,)
        `category` is what the event says, which need not be the item's own; empty where the
        source gives none.
    time : ndarray of int64, shape (n_events,)
        Seconds since 1970-01-01 UTC.
    """

    user: Text
    item: Text
    category: Text
    time: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return f"Events({len(self)})"


def read_events(
    path: str | os.PathLike[str],
    *,
    columns: Mapping[str, str] | None = None,
    separator: str = "\t",
) -> Events:
    """Read a table of events with a header line.

    Parameters
    ----------
    path : path
        Text, or text packed with gzip (by its name, ``.gz``).
    columns : mapping, optional
        From ``user``, ``item``, ``time`` and ``category`` to the file's own column names;
        what is not given is called as in `COLUMNS`. A file may lack the category only when
        ``{"category": ""}`` says so.
    separator : str
        One character.

    Raises
    ------
    InvalidParameter
        A column is missing, an id is empty, or a time is not a number of seconds; the message
        names the line.
    """
    names = {**COLUMNS, **(columns or {})}
    for role, name in names.items():
        if not name and role != "category":
            raise InvalidParameter(f"the column map leaves out {role!r}; only a category may lack")
    if len(separator) != 1:
        raise InvalidParameter(f"separator={separator!r} is not one character")
    wanted = [name for name in names.values() if name]
    try:
        table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, na_filter=False)
    except (ValueError, EOFError) as error:  # pandas' parser errors are ValueErrors
        raise InvalidParameter(f"{path}: not a table of events: {error}") from error
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        found = ", ".join(map(repr, table.columns))
        raise InvalidParameter(
            f"{path}: has no column {missing[0]!r} when split at {separator!r}, only {found}; "
            "name the columns with a column map, or another separator"
        )
    text = {role: _text(table[name]) for role, name in names.items() if name}
    for role in ("user", "item"):
        empty = np.flatnonzero(text[role] == "")
        if len(empty):
            raise InvalidParameter(f"{path}, line {empty[0] + 2}: {names[role]!r} is empty")
    return Events(
        text["user"],
        text["item"],
        text.get("category", np.full(len(table), "", np.str_)),
        _seconds(text["time"], path, names["time"]),
    )


def write_events(events: Events, path: str | os.PathLike[str]) -> None:
    """Write what `read_events` reads; packed with gzip when `path` ends in ``.gz``."""
    table = pd.DataFrame({name: getattr(events, role) for role, name in COLUMNS.items()})
    # No time stamp inside the gzip file, so that equal events are equal bytes.
    packing: Any = {"method": "gzip", "mtime": 0} if Path(path).suffix == ".gz" else None
    with whole_file(path) as file:
        table.to_csv(file, sep="\t", index=False, compression=packing)


def _text(column: pd.Series[str]) -> Text:
    return np.char.strip(column.to_numpy(dtype=np.str_))


def _seconds(text: Text, path: str | os.PathLike[str], name: str) -> npt.NDArray[np.int64]:
    numbers = pd.to_numeric(pd.Series(text), errors="coerce").to_numpy(np.float64)
    bad = np.flatnonzero(~(np.abs(numbers) < 2**53))
    if len(bad):
        raise InvalidParameter(
            f"{path}, line {bad[0] + 2}: {name}={str(text[bad[0]])!r} is not a number of seconds"
        )
    return numbers.astype(np.int64)


def with_categories(events: Events, categories: Mapping[str, str], default: str = "") -> Events:
    """The same events, each without a category given its item's, or `default`."""
    own = [
        category or categories.get(item, default)
        for item, category in zip(events.item.tolist(), events.category.tolist(), strict=True)
    ]
    return Events(events.user, events.item, np.array(own, np.str_), events.time)
