"""Prometheus metrics that are right under many workers and bounded in labels and files."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from prometheus_client import REGISTRY as PROCESS_REGISTRY
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.mmap_dict import MmapedDict

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

REQUESTS = Counter(
    "recommender_requests", "Answers by route, client, status", ["route", "client", "status"]
)
LATENCY = Histogram(
    "recommender_request_seconds",
    "From the request's parsing to its answer",
    ["route"],
    buckets=SECONDS,
)
ANSWERED = Counter(
    "recommender_answers", "Recommendations by who scored them", ["algorithm", "source"]
)
ALGORITHM_SECONDS = Histogram(
    "recommender_algorithm_seconds", "Time in an algorithm", ["algorithm"], buckets=SECONDS
)
TROUBLE = Counter(
    "recommender_algorithm_trouble",
    "Calls that raised, took too long, were refused or answered nonsense",
    ["algorithm", "kind"],
)
DROPPED = Counter(
    "recommender_dropped_entries",
    "Entries an algorithm should not have answered",
    ["algorithm", "reason"],
)
BAD_LISTS = Counter("recommender_bad_candidate_lists", "Values in memcached that are no id list")
CACHE_FAILURES = Counter("recommender_cache_failures", "Requests memcached could not be asked for")
REFUSED = Counter("recommender_refused", "Requests refused because too many waited")
CLIENT_GONE = Counter("recommender_client_gone", "Answers that the client did not take in time")
RESIDENT = Gauge(
    "recommender_worker_resident_bytes",
    "Memory of the largest worker",
    multiprocess_mode="livemax",
)
LOST_LINES = Counter("recommender_lost_log_lines", "Log lines dropped because nobody read them")


@cache
def _request_children(route: str, client: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(route, client, str(status)), LATENCY.labels(route)


def count_request(route: str, client: str, status: int, seconds: float) -> None:
    """Count an answer; `route` and `client` must come from code and settings, not callers."""
    counter, histogram = _request_children(route, client, status)
    counter.inc()
    histogram.observe(seconds)


@cache
def _answer_children(algorithm: str, source: str) -> tuple[Counter, Histogram]:
    return ANSWERED.labels(algorithm, source), ALGORITHM_SECONDS.labels(algorithm)


def count_answer(algorithm: str, source: str, seconds: float) -> None:
    counter, histogram = _answer_children(algorithm, source)
    counter.inc()
    histogram.observe(seconds)


def exposition() -> bytes:
    """All metrics of all workers in Prometheus' text format."""
    directory = os.environ.get(DIRECTORY)
    if not directory:
        return generate_latest(PROCESS_REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    with _locked(Path(directory), fcntl.LOCK_SH):
        return generate_latest(registry)


def merge_dead_worker(pid: int) -> None:
    """Add a dead worker's counts to a common file, so that files do not grow with restarts."""
    directory = Path(os.environ.get(DIRECTORY, ""))
    if DIRECTORY not in os.environ:
        return
    with _locked(directory, fcntl.LOCK_EX):
        for path in directory.glob(f"*_{pid}.db"):
            kind = path.name.rsplit("_", 1)[0]
            if kind in ("counter", "histogram"):
                _add(path, directory / f"{kind}_0.db")
            path.unlink()


def _add(source: Path, target: Path) -> None:
    values = MmapedDict.read_all_values_from_file(str(source))  # type: ignore[no-untyped-call]
    total = MmapedDict(str(target))  # type: ignore[no-untyped-call]
    for key, value, timestamp, _ in values:
        before, _ = total.read_value(key)  # type: ignore[no-untyped-call]
        total.write_value(key, before + value, timestamp)  # type: ignore[no-untyped-call]
    total.close()  # type: ignore[no-untyped-call]


@contextmanager
def _locked(directory: Path, kind: int) -> Iterator[None]:
    """Nobody scrapes between the addition of a dead worker's counts and their removal."""
    with (directory / "lock").open("a") as lock:
        fcntl.flock(lock, kind)
        yield
