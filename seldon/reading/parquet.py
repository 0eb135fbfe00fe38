"""Events from Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seldon.errors import InvalidData, MissingExtra
from seldon.interactions import EVENT_WEIGHTS
from seldon.reading.events import EventReader
from seldon.reading.interning import Interner
from seldon.reading.layout import ACCEPTED, STATUS
from seldon.reading.numbers import MILLISECONDS_FROM
from seldon.reading.report import Sample

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyarrow.parquet import ParquetFile

ROWS = 1 << 20


def parquet_columns(path: Path) -> list[str]:
    """Names of a file's columns; errors are those of `read_parquet`."""
    with _opened(path) as source:
        return list(source.schema_arrow.names)


def read_parquet(path: Path, name: str, columns: Mapping[str, str], reader: EventReader) -> None:
    """Read one file; a "line" of the report is a row, from 1.

    Parameters
    ----------
    path : Path
    name : str
        Of the file, in the report.
    columns : mapping
        Column names for ``"user"``, ``"item"`` and, if there are, ``"time"`` (timestamps, or
        seconds or milliseconds since 1970), ``"type"`` and ``"weight"``.
    reader : EventReader
        Takes the events; nothing is read on when it has met too many errors.

    Raises
    ------
    MissingExtra
        pyarrow is not installed.
    InvalidData
        Not a Parquet file, or a column of it holds lists or structures.
    """
    with _opened(path) as source:
        from pyarrow.types import is_nested

        for column in columns.values():
            kind = source.schema_arrow.field(column).type
            if is_nested(kind):
                raise InvalidData(f"{path}: column {column!r} holds {kind}, not one value a row")
        row = 1
        for batch in source.iter_batches(ROWS, columns=list(columns.values())):
            _read_batch(batch, name, row, columns, reader)
            if reader.faults.full:
                return
            row += len(batch)


@contextmanager
def _opened(path: Path) -> Iterator[ParquetFile]:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise MissingExtra("pyarrow", "parquet") from None
    try:
        with ParquetFile(path) as source:
            yield source
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidData(f"{path}: not a usable Parquet file: {error}") from error


def _read_batch(
    batch: RecordBatch, name: str, row: int, columns: Mapping[str, str], reader: EventReader
) -> None:
    """Read rows, the first of which has number `row` in the file."""

    def column(wanted: str, *, ids: bool = False) -> pd.Series[Any]:
        # Ids stay whole numbers beside nulls, where pandas would make them floats.
        values: pd.Series[Any] = batch.column(columns[wanted]).to_pandas(integer_object_nulls=ids)
        return values

    user = _codes(column("user", ids=True), reader.users)
    item = _codes(column("item", ids=True), reader.items)
    time = np.full(len(batch), reader.now)
    weight = np.ones(len(batch))
    status = np.full(len(batch), ACCEPTED)
    for codes, interner in ((user, reader.users), (item, reader.items)):
        present = codes >= 0
        status[present] = np.maximum(status[present], interner.marks(codes[present]))
    if "type" in columns:
        weight = _weights_of_types(column("type"))
    if "weight" in columns:
        given = column("weight")
        numbers = pd.to_numeric(given, errors="coerce").to_numpy(float)
        weight = np.where(given.isna(), weight, numbers)
        status[~np.isfinite(weight)] = STATUS["BadWeightFormat"]
    if "time" in columns:
        time = _seconds(column("time"))
        status[~np.isfinite(time)] = STATUS["BadTimestampFormat"]
    status[(user < 0) | (item < 0)] = STATUS["MissingFields"]
    reader.settle(status, (user, item, time, weight), lambda place: Sample(name, row + place))


def _codes(values: pd.Series[Any], interner: Interner) -> npt.NDArray[np.int64]:
    """Number of each id, ``-1`` where there is none."""
    groups, distinct = pd.factorize(values)
    texts = [_text(value) for value in distinct]
    codes = [interner.code(text.encode()) if text else -1 for text in texts]
    return np.array([*codes, -1], np.int64)[groups]


def _text(value: Any) -> str:
    """An id as text; whole numbers that were stored as floats lose their ``.0``."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value).strip()


def _weights_of_types(types: pd.Series[Any]) -> npt.NDArray[np.float64]:
    groups, distinct = pd.factorize(types)
    weights = [EVENT_WEIGHTS.get(str(each).strip().lower(), 1.0) for each in distinct]
    return np.array([*weights, 1.0])[groups]


def _seconds(values: pd.Series[Any]) -> npt.NDArray[np.float64]:
    """Seconds since 1970 UTC, NaN where there is no time."""
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy(float)
        return np.where(abs(numbers) >= MILLISECONDS_FROM, numbers / 1000, numbers)
    moments = pd.to_datetime(values, utc=True, errors="coerce", format="ISO8601")
    ticks = moments.dt.as_unit("us").astype("int64").to_numpy(float)
    return np.where(moments.isna(), np.nan, ticks / 1e6)
