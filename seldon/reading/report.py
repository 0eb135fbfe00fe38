"""What a reader says about its files: `ParsingReport`, one `ParsingError` per kind of fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from seldon.errors import InvalidParameter

SAMPLES_KEPT = 5
EXCERPT = 120


@dataclass(frozen=True)
class Sample:
    """One place where a fault occurred.

    Attributes
    ----------
    file : str
        Path as the caller names the data, with ``/``.
    line : int
        From 1: the last line of the record, or the first when its quoting is broken.
    text : str
        The beginning of the record.
    """

    file: str
    line: int
    text: str = ""


@dataclass(frozen=True)
class ParsingError:
    """One kind of fault.

    Attributes
    ----------
    error : str
        A name of the Product Recommendations API, for example ``"BadTimestampFormat"``.
    count : int
    samples : tuple of Sample
        The first few, in file order; never empty.
    warning : bool
        The record was left out, but it does not count towards the error limit.
    """

    error: str
    count: int
    samples: tuple[Sample, ...]
    warning: bool = False


@dataclass(frozen=True)
class ParsingReport:
    """What was read.

    Attributes
    ----------
    errors : tuple of ParsingError
        Errors in the order of their first occurrence, then warnings likewise.
    total_lines : int
        Records read, good and bad; blank lines are not records.
    successful_lines : int
        Records accepted.
    duration : float
        Seconds.
    complete : bool
        False when more errors than the limit stopped the reading.
    """

    errors: tuple[ParsingError, ...]
    total_lines: int
    successful_lines: int
    duration: float
    complete: bool = True

    @property
    def usable(self) -> bool:
        """Read to the end, with at least one record accepted."""
        return self.complete and self.successful_lines > 0

    def __str__(self) -> str:
        lines = [
            f"{self.successful_lines:,} of {self.total_lines:,} lines read "
            f"in {self.duration:.1f} s"
            + ("" if self.complete else ", then stopped: too many errors")
        ]
        for error in self.errors:
            first = error.samples[0]
            lines.append(f"  {error.error} x {error.count}, first {first.file}:{first.line}")
            if first.text:
                lines[-1] += f": {first.text}"
        return "\n".join(lines)


def merged(reports: Sequence[ParsingReport], limit: int | None) -> ParsingReport:
    """Reports of several files as one, in their order.

    Parameters
    ----------
    limit : int or None
        Errors allowed over all files.
    """
    found: dict[tuple[str, bool], ParsingError] = {}
    for error in (error for report in reports for error in report.errors):
        before = found.setdefault((error.error, error.warning), replace(error, count=0, samples=()))
        found[error.error, error.warning] = replace(
            before,
            count=before.count + error.count,
            samples=(*before.samples, *error.samples)[:SAMPLES_KEPT],
        )
    errors = sum(error.count for error in found.values() if not error.warning)
    return ParsingReport(
        tuple(sorted(found.values(), key=lambda error: error.warning)),
        sum(report.total_lines for report in reports),
        sum(report.successful_lines for report in reports),
        max((report.duration for report in reports), default=0.0),
        all(report.complete for report in reports) and (limit is None or errors <= limit),
    )


@dataclass
class FaultLog:
    """Collects faults while files are read.

    Parameters
    ----------
    limit : int or None
        Errors allowed; one more stops the reading. None is no limit.
    """

    limit: int | None
    errors: int = 0
    _counts: dict[tuple[str, bool], int] = field(default_factory=dict)
    _samples: dict[tuple[str, bool], list[Sample]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 0:
            raise InvalidParameter(f"error_limit={self.limit}: expected 0 or more")

    @property
    def left(self) -> int | None:
        """How many errors may still come before the one that stops; None without a limit."""
        return None if self.limit is None else self.limit - self.errors

    @property
    def full(self) -> bool:
        return self.limit is not None and self.errors > self.limit

    def add(self, error: str, sample: Sample, *, warning: bool = False) -> None:
        key = (error, warning)
        self._counts[key] = self._counts.get(key, 0) + 1
        self.errors += not warning
        kept = self._samples.setdefault(key, [])
        if len(kept) < SAMPLES_KEPT:
            kept.append(Sample(sample.file, sample.line, sample.text[:EXCERPT]))

    def add_rows(
        self, error: str, rows: Sequence[int], sample: Callable[[int], Sample], *, warning: bool
    ) -> None:
        """One fault in each of `rows`; `sample` tells where, asked for the first few only."""
        kept = len(self._samples.get((error, warning), ()))
        described = rows[: SAMPLES_KEPT - kept]
        for row in described:
            self.add(error, sample(row), warning=warning)
        more = len(rows) - len(described)
        if more:
            self._counts[error, warning] += more
            self.errors += 0 if warning else more

    def report(self, total: int, successful: int, duration: float) -> ParsingReport:
        kinds = [
            ParsingError(error, count, tuple(self._samples[error, warning]), warning)
            for (error, warning), count in self._counts.items()
        ]
        kinds.sort(key=lambda kind: kind.warning)
        return ParsingReport(tuple(kinds), total, successful, duration, not self.full)
