"""A model's JSON as what people read: labels, units, and what an error in a file means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d\d):(\d\d):(\d\d)(\.\d+)?")
_PERCENT = re.compile(r"(\d{1,3}) %")

STATISTICS = {
    "numberOfUsageItems": "Items with usage",
    "numberOfUsers": "Users",
    "numberOfCatalogItems": "Items in the catalog",
    "catalogCoverage": "Catalog items with usage",
    "trainingDuration": "Training took",
    "storingUserHistoryDuration": "Storing user history took",
    "totalDuration": "All took",
}

MEANINGS = {
    "MalformedLine": "quotes are not closed, or text follows a closing quote",
    "MissingFields": "fewer than two fields, or the first or second is blank",
    "BadTimestampFormat": "the third field is no date and time like 2017-04-20T18:00:00",
    "BadWeightFormat": "the fifth field is no number",
    "MalformedCatalogItemFeature": "a feature is not written name=value",
    "ItemIdTooLong": "an item id has more than 450 characters",
    "IllegalCharactersInItemId": "an item id has a character that is not allowed",
    "UserIdTooLong": "a user id has more than 255 characters",
    "IllegalCharactersInUserId": "a user id has something else than letters, digits, - and _",
    "UnknownItemId": "the item is not in the catalog; the line was left out",
    "DuplicateItemId": "the item was listed before; the first line counts",
}

_WARNINGS = ("UnknownItemId", "DuplicateItemId")


@dataclass(frozen=True)
class File:
    """What was found in one kind of input file.

    Attributes
    ----------
    report : dict
        A parsing report of the API, as JSON.
    """

    title: str
    report: Mapping[str, Any]

    @property
    def left_out(self) -> int:
        return int(self.report["totalLinesCount"] - self.report["successfulLinesCount"])

    @property
    def stopped(self) -> bool:
        """Whether there were more errors than the API reads on after; warnings do not count."""
        found = self.report.get("errors") or ()
        errors = sum(int(one["count"]) for one in found if one["error"] not in _WARNINGS)
        return errors > 100


def name(model: Any) -> str:
    """What a model is called on the page: its description, or the start of its id."""
    return (model.description or "").strip() or f"Model {model.id[:8]}"


def parameters(model: Any) -> dict[str, str]:
    """The parameters by their names in the API."""
    return {key: _shown(value) for key, value in (model.parameters or {}).items()}


def statistics(model: Any) -> dict[str, str]:
    found = model.statistics or {}
    shown = {}
    for key, label in STATISTICS.items():
        if key in found:
            value = found[key]
            if key.endswith("Duration"):
                shown[label] = duration(value)
            else:
                shown[label] = f"{100 * value:.1f} %" if key == "catalogCoverage" else _shown(value)
    return shown


def files(model: Any) -> list[File]:
    """The parsing reports there are."""
    found = model.statistics or {}
    reports = [
        ("Usage events", found.get("usageEventsParsing")),
        ("Catalog", found.get("catalogParsing")),
        ("Evaluation usage events", (found.get("evaluation") or {}).get("usageEventsParsing")),
    ]
    return [File(title, report) for title, report in reports if report]


def metrics(model: Any) -> dict[str, Any] | None:
    """The evaluation's metrics; `None` without, or when nothing could be scored."""
    found = ((model.statistics or {}).get("evaluation") or {}).get("metrics") or {}
    return found if "precisionMetrics" in found and "diversityMetrics" in found else None


def weights(model: Any) -> list[tuple[str, float]]:
    """Features by how much they say about similarity."""
    found = (model.statistics or {}).get("catalogFeatureWeights") or {}
    return sorted(found.items(), key=lambda pair: -abs(pair[1]))


def progress(message: str | None) -> int | None:
    """The percentage in a status message."""
    found = _PERCENT.search(message or "")
    return int(found[1]) if found else None


def duration(time_span: str) -> str:
    """``00:01:02.5000000`` as ``1 min 2.5 s``."""
    found = _TIME_SPAN.fullmatch(time_span)
    if found is None:
        return time_span
    days, hours, minutes = (int(found[n] or 0) for n in (1, 2, 3))
    seconds = int(found[4]) + float(found[5] or 0)
    hours += 24 * days
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {seconds:.0f} s"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def moment(at: datetime | float) -> str:
    """UTC to the minute; seconds since 1970 are taken too."""
    if not isinstance(at, datetime):
        at = datetime.fromtimestamp(at, UTC)
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
