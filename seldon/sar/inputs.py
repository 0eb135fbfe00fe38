"""From options of the command line to events, a catalog and training parameters."""

from __future__ import annotations

import hashlib
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

import numpy as np

from seldon.errors import InvalidData, InvalidParameter
from seldon.interactions import Interactions, Vocabulary
from seldon.reading import Catalog, ParsingReport, read_catalog, read_interactions
from seldon.reading.files import input_files
from seldon.sar.ids import numbered
from seldon.sar.parameters import TrainingParameters
from seldon.sar.terminal import ProgressBar, note

NO_DECAY = 1e300
"""A half-life in days beside which any age is nothing: weights count, age does not."""


def parameters_of(options: Namespace) -> TrainingParameters:
    """Training parameters as the options say."""
    if (options.cold_items or options.cold_to_cold) and options.catalog is None:
        raise InvalidParameter("--cold-items places items by their features: give --catalog")
    return TrainingParameters(
        support_threshold=options.support_threshold,
        cooccurrence_unit=options.cooccurrence_unit,
        similarity_function=options.similarity,
        enable_cold_item_placement=options.cold_items or options.cold_to_cold,
        enable_cold_to_cold_recommendations=options.cold_to_cold,
        enable_user_affinity=options.decay_days is not None or options.event_weights,
        enable_user_to_item_recommendations=not options.no_user_history,
        allow_seed_items_in_recommendations=options.allow_seeds,
        enable_backfilling=not options.no_backfill,
        decay_period_in_days=NO_DECAY if options.decay_days is None else options.decay_days,
        neighbours=options.neighbours,
        event_weights=options.event_weights,
    )


def read_events(
    path: str, options: Namespace, label: str, known_items: Vocabulary | None = None
) -> tuple[Interactions, ParsingReport]:
    """Usage events by the reading options, with a progress bar and a note on bad lines.

    Raises
    ------
    InvalidData
        Nothing usable was read; the message has the report.
    """
    total = sum(file.stat().st_size for file in input_files(path))
    with ProgressBar(label, total, shown=False if options.json else None) as bar:
        events, report = read_interactions(
            path, known_items=known_items, progress=bar.advance, **reading_of(options)
        )
    if not report.usable:
        raise InvalidData(f"{path}: no usable events: {report}")
    if report.errors:
        note(f"{path}: {report}")
    return numbered(events), report


def reading_of(options: Namespace) -> dict[str, Any]:
    """How events are read, as arguments of `read_interactions`."""
    return {
        "format": options.format,
        "columns": _columns(options.columns),
        "separator": options.separator,
        "error_limit": options.error_limit,
    }


def catalog_of(options: Namespace) -> tuple[Catalog, ParsingReport] | None:
    """The catalog that was named, None without."""
    if options.catalog is None:
        return None
    catalog, report = read_catalog(options.catalog)
    if not report.usable:
        raise InvalidData(f"{options.catalog}: no usable items: {report}")
    if report.errors:
        note(f"{options.catalog}: {report}")
    return catalog, report


def memory_of(options: Namespace) -> int | None:
    """``--memory-limit`` in bytes: ``8G``, ``500M``, ``1.5G``; None when it is not given."""
    text: str | None = options.memory_limit
    if text is None:
        return None
    number, unit = text.strip().upper().removesuffix("B").removesuffix("I"), 1
    if number and number[-1] in "KMGT":
        number, unit = number[:-1], 1024 ** ("KMGT".index(number[-1:]) + 1)
    try:
        size = int(float(number) * unit)
    except (ValueError, OverflowError):
        size = 0
    if size <= 0:
        raise InvalidParameter(f"--memory-limit {text!r}: expected a size such as 8G or 500M")
    return size


def fingerprint(events: Interactions) -> str:
    """Twelve hex digits that tell whether two evaluations were on the same events."""
    digest = hashlib.sha256()
    for ids in (events.users.ids, events.items.ids):
        digest.update("\n".join(map(str, ids.tolist())).encode())
    for array in (events.user, events.item, events.time):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:12]


def _columns(text: str | None) -> Mapping[str, str | int] | None:
    """``user=customer,item=2`` as a column map; digits are positions."""
    if text is None:
        return None
    columns: dict[str, str | int] = {}
    for part in text.split(","):
        name, given, place = part.partition("=")
        if not given or not place:
            raise InvalidParameter(
                f"--columns {text!r}: {part!r} is not of the form user=NAME or user=POSITION"
            )
        columns[name.strip()] = int(place) if place.isdecimal() else place
    return columns
