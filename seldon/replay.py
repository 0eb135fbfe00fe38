"""Ask another instance what was asked before, and compare: `python -m seldon.replay --help`."""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import re
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from seldon.errors import InvalidParameter, SeldonError

LARGEST_LINE = 2**20
WORST = 5
PREFIX = "replay-"  # of the request ids that a replay sends


@dataclass(frozen=True)
class Recommended:
    """One answer of `/recommend`.

    Attributes
    ----------
    items : tuple of int
    scores : tuple of float
    algorithm : str
        ``name/version``.
    candidates : int
    ms : float
        In the service.
    """

    items: tuple[int, ...]
    scores: tuple[float, ...]
    algorithm: str
    candidates: int
    ms: float


@dataclass(frozen=True)
class Logged:
    """A request of the log and its answer then."""

    request_id: str
    query: str
    then: Recommended


@dataclass(frozen=True)
class Replayed:
    """A request, its answer then and now; `failure` where there is none now."""

    logged: Logged
    now: Recommended | None
    failure: str = ""


@dataclass(frozen=True)
class Difference:
    """What changed between a log and its replay.

    Attributes
    ----------
    requests : int
    failures : dict of str to int
        Requests without an answer, by what came instead.
    agreement : float
        Mean over the requests of the share of items that both have among their first `k`; 0 to 1.
    same_lists : float
        Share of the requests with the same items in the same order.
    same_first : float
        Share of the requests with the same first item.
    score_change : float
        Mean absolute change of the scores of items that both have; scores are 0 to 1.
    other_candidates : int
        Requests that met another number of candidates than then; they differ for that reason.
    ms_then, ms_now : float
        Median time in the service.
    algorithms_then, algorithms_now : dict of str to int
    worst : list of dict
        The requests that differ most, with their first items then and now.
    """

    requests: int
    failures: dict[str, int]
    agreement: float
    same_lists: float
    same_first: float
    score_change: float
    other_candidates: int
    ms_then: float
    ms_now: float
    algorithms_then: dict[str, int]
    algorithms_now: dict[str, int]
    worst: list[dict[str, Any]]


def read_log(lines: Iterable[bytes], skipped: Counter[str]) -> Iterator[Logged]:
    """The answered requests of a request log.

    Parameters
    ----------
    lines : iterable of bytes
        What the service writes with ``LOG_QUERIES`` above 0; other lines may stand between.
    skipped : Counter
        Is told how many lines were left out, by reason.
    """
    for line in lines:
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            if line.strip():
                skipped["torn, or not of the request log"] += 1
            continue
        if not isinstance(entry, dict) or entry.get("event") != "recommend":
            skipped["not of /recommend"] += 1
        elif entry.get("status") != 200:
            skipped["not answered with 200"] += 1
        elif str(entry.get("request_id", "")).startswith(PREFIX):
            # Also what keeps a replay to the very instance that writes the log from never ending.
            skipped["sent by a replay"] += 1
        elif not entry.get("query"):
            skipped["without its query (LOG_QUERIES was off, or it was a POST)"] += 1
        else:
            try:
                yield _logged(entry)
            except (KeyError, TypeError, ValueError):
                skipped["torn, or not of the request log"] += 1


def replay(
    logged: Iterable[Logged], url: str, threads: int = 4, timeout: float = 5
) -> Iterator[Replayed]:
    """Send the logged queries to the service at `url`, in order, a few at a time.

    Parameters
    ----------
    logged : iterable of Logged
    url : str
        ``http://host:port``, or the whole address of `/recommend`.
    threads : int
        Requests at a time, each over a connection that is kept.
    timeout : float
        Seconds for one answer.

    Raises
    ------
    InvalidParameter
        `url` is no address.
    """
    with closing(_Service(url, timeout)) as service, ThreadPoolExecutor(threads) as pool:
        waiting = iter(logged)
        # No more than a few ahead: a log may be longer than memory.
        running = [pool.submit(service.ask, one) for one in islice(waiting, 4 * threads)]
        while running:
            yield running.pop(0).result()
            running += [pool.submit(service.ask, one) for one in islice(waiting, 1)]


def difference(replayed: Sequence[Replayed], k: int = 10) -> Difference:
    """Compare the answers then and now, over the first `k` items."""
    pairs = [(one.logged, one.now) for one in replayed if one.now is not None]
    agreements = [_agreement(then.then.items[:k], now.items[:k]) for then, now in pairs]
    changes = [change for then, now in pairs for change in _changes(then.then, now)]
    order = sorted(range(len(pairs)), key=lambda n: agreements[n])
    return Difference(
        requests=len(replayed),
        failures=dict(Counter(one.failure for one in replayed if one.now is None)),
        agreement=_mean(agreements),
        same_lists=_mean([then.then.items == now.items for then, now in pairs]),
        same_first=_mean([then.then.items[:1] == now.items[:1] for then, now in pairs]),
        score_change=statistics.fmean(changes) if changes else 0.0,
        other_candidates=sum(then.then.candidates != now.candidates for then, now in pairs),
        ms_then=statistics.median([then.then.ms for then, _ in pairs] or [0.0]),
        ms_now=statistics.median([now.ms for _, now in pairs] or [0.0]),
        algorithms_then=dict(Counter(then.then.algorithm for then, _ in pairs)),
        algorithms_now=dict(Counter(now.algorithm for _, now in pairs)),
        worst=[
            {
                "request_id": pairs[n][0].request_id,
                "agreement": agreements[n],
                "then": list(pairs[n][0].then.items[:k]),
                "now": list(pairs[n][1].items[:k]),
            }
            for n in order[:WORST]
            if agreements[n] < 1
        ],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m seldon.replay`; returns the exit status."""
    options = _parser().parse_args(arguments)
    skipped: Counter[str] = Counter()
    try:
        for name in ("limit", "k", "threads"):
            if getattr(options, name) is not None and getattr(options, name) < 1:
                raise InvalidParameter(f"--{name}={getattr(options, name)} must be at least 1")
        logged = islice(read_log(_lines(options.log), skipped), options.limit)
        replayed = list(replay(logged, options.url, options.threads, options.timeout))
    except (SeldonError, OSError) as error:
        print(f"seldon.replay: {error}", file=sys.stderr)
        return 2
    for reason, number in skipped.items():
        print(f"skipped {number} lines: {reason}", file=sys.stderr)
    if not replayed:
        print("seldon.replay: the log has no request that can be sent again", file=sys.stderr)
        return 2
    found = difference(replayed, options.k)
    print(json.dumps(asdict(found), indent=1) if options.json else _text(found, options.k))
    return 1 if found.failures or found.agreement < options.min_agreement else 0


class _Service:
    """The instance that is asked; one connection a thread."""

    def __init__(self, url: str, timeout: float) -> None:
        try:
            parts = urlsplit(url)
            self._port = parts.port
        except ValueError as error:
            raise InvalidParameter(f"--url={url!r}: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise InvalidParameter(f"--url={url!r} must be http://host:port")
        self._host, self._timeout = parts.hostname, timeout
        self._path = parts.path if parts.path not in ("", "/") else "/recommend"
        self._https = parts.scheme == "https"
        self._local = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        for connection in self._opened:
            connection.close()

    def ask(self, logged: Logged) -> Replayed:
        try:
            try:
                status, headers, body = self._get(logged)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self._local.connection.close()  # it had been idle for too long; once more
                status, headers, body = self._get(logged)
        except (OSError, http.client.HTTPException) as error:
            self._local.connection.close()
            return Replayed(logged, None, f"{type(error).__name__}: {error}")
        if status != 200:
            return Replayed(logged, None, f"status {status}")
        try:
            return Replayed(logged, _answer(headers, body))
        except (ValueError, KeyError, TypeError):
            return Replayed(logged, None, "an answer that is not /recommend's")

    def _get(self, logged: Logged) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            kind = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
            connection = kind(self._host, self._port, timeout=self._timeout)
            self._local.connection = connection
            self._opened.append(connection)
        headers = {"X-Request-Id": f"{PREFIX}{logged.request_id}"[:64]}
        started = time.perf_counter()
        connection.request("GET", f"{self._path}?{logged.query}", headers=headers)
        response = connection.getresponse()
        body = response.read()
        if "Server-Timing" not in response.headers:
            spent = (time.perf_counter() - started) * 1e3
            response.headers["Server-Timing"] = f"total;dur={spent:.3f}"
        return response.status, response.headers, body


def _logged(entry: dict[str, Any]) -> Logged:
    items = tuple(int(item) for item in entry["items"])
    scores = tuple(float(score) for score in entry["scores"])
    if len(items) != len(scores) or not re.fullmatch(r"[!-~]+", entry["query"]):
        raise ValueError
    algorithm = f"{entry['algorithm']}/{entry['version']}"
    then = Recommended(items, scores, algorithm, int(entry["candidates"]), float(entry["ms"]))
    return Logged(str(entry.get("request_id", "")), entry["query"], then)


def _answer(headers: http.client.HTTPMessage, body: bytes) -> Recommended:
    entries = orjson.loads(body)["recommended"]
    spent = re.search(r"total;dur=([0-9.]+)", headers["Server-Timing"])
    return Recommended(
        tuple(int(entry["item"]) for entry in entries),
        tuple(float(entry["score"]) for entry in entries),
        headers.get("X-Recommender-Algorithm", "unknown"),
        int(headers.get("X-Candidates-Count", "0")),
        float(spent[1]) if spent else 0.0,
    )


def _agreement(then: Sequence[int], now: Sequence[int]) -> float:
    most = max(len(then), len(now))
    return len(set(then) & set(now)) / most if most else 1.0


def _changes(then: Recommended, now: Recommended) -> list[float]:
    scores = dict(zip(now.items, now.scores, strict=True))
    return [
        abs(scores[item] - score)
        for item, score in zip(then.items, then.scores, strict=True)
        if item in scores
    ]


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else 0.0


def _lines(paths: Sequence[Path]) -> Iterator[bytes]:
    """Lines of the files, of standard input for ``-``; a longer line than any of ours is cut."""
    for path in paths:
        if str(path) == "-":
            yield from iter(lambda: sys.stdin.buffer.readline(LARGEST_LINE), b"")
            continue
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            yield from iter(lambda stream=stream: stream.readline(LARGEST_LINE), b"")  # type: ignore[misc]


def _text(found: Difference, k: int) -> str:
    lines = [
        f"requests            {found.requests}",
        f"agreement at {k:<5}  {found.agreement:.4f}",
        f"same list           {found.same_lists:.4f}",
        f"same first item     {found.same_first:.4f}",
        f"change of scores    {found.score_change:.6f}",
        f"median ms           {found.ms_then:.3f} then, {found.ms_now:.3f} now",
        f"algorithms then     {_counts(found.algorithms_then)}",
        f"algorithms now      {_counts(found.algorithms_now)}",
    ]
    if found.other_candidates:
        lines.append(f"other candidates    in {found.other_candidates} requests")
    for failure, number in found.failures.items():
        lines.append(f"failed              {number}: {failure}")
    for one in found.worst:
        lines.append(
            f"differs most        {one['request_id']}: {one['then']} then, {one['now']} now"
        )
    return "\n".join(lines)


def _counts(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seldon.replay",
        description="Send the requests of a log to another instance of the service and compare "
        "the answers. The log needs LOG_QUERIES above 0.",
        epilog="exit status: 0 agreed, 1 a request failed or --min-agreement was missed, 2 usage",
    )
    parser.add_argument("log", nargs="+", type=Path, help="files, also .gz; - is standard input")
    parser.add_argument("--url", required=True, help="of the other instance: http://host:port")
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many requests")
    parser.add_argument("--k", type=int, default=10, help="items compared; default: %(default)s")
    parser.add_argument("--threads", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--timeout", type=float, default=5, metavar="SECONDS", help="%(default)s")
    parser.add_argument(
        "--min-agreement", type=float, default=0.0, metavar="SHARE", help="0 to 1, for CI"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
