"""`python -m benchmarks.serving`: this service beside the template's way and a constant view.

Each contender runs under gunicorn with two workers; wrk drives them in turn, round after round,
so that a slow minute of the machine hits all of them. Printed are medians over the rounds, and
ratios made within a round. CPU is what the workers used, so it does not follow the load of other
programs as throughput does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pylibmc

from seldon.sample import sample_interactions, write_sample
from tests.services.processes import gunicorn, memcached

STOCK = ["-c", os.devnull, "-w", "2"]
SIZES = (100, 1_000, 10_000, 100_000)


@dataclass
class Contender:
    name: str
    port: int
    master: psutil.Process

    def cpu_seconds(self) -> float:
        times = [child.cpu_times() for child in self.master.children()]
        return sum(each.user + each.system for each in times)


@dataclass
class Measured:
    rate: float
    p99_ms: float
    cpu_us: float
    failed: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of load in each turn")
    parser.add_argument("--connections", type=int, default=4)
    options = parser.parse_args()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "interactions.csv"
        drawn = sample_interactions(5_000, 100_000, 200_000, np.random.default_rng(1))
        write_sample(drawn, folder)
        _, cache = stack.enter_context(memcached(None, "-I", "8m"))
        keys = {size: put_list(cache, size) for size in SIZES}
        contenders = start(stack, cache, events, Path(folder))
        results: dict[tuple[str, int], list[Measured]] = {}
        for _ in range(options.rounds):
            for size in SIZES:
                for contender in contenders:
                    url = address(contender.port, keys[size])
                    measured = drive(contender, url, options.seconds, options.connections)
                    results.setdefault((contender.name, size), []).append(measured)
        report(results, [contender.name for contender in contenders])
        report_new_lists(contenders[0].port, cache)
        report_memory(contenders[0])
        report_start(cache, events, Path(folder))


def start(stack: ExitStack, cache: int, events: Path, folder: Path) -> list[Contender]:
    server = f"127.0.0.1:{cache}"
    ours = {
        "SELDON_MEMCACHE__servers": server,
        "SELDON_INTERACTIONS": str(events),
        "SELDON_LOG_LEVEL": "INFO",
    }
    similar = {**ours, "SELDON_RECOMMENDER_ALG": "recent_similarity"}
    old = {"SERVER": server, "EVENTS": str(events)}
    plans = [
        ("ours, similarity", "recommender:app", ["-w", "2", "--preload"], similar),
        ("ours, random", "recommender:app", ["-w", "2", "--preload"], ours),
        (
            "ours, similarity, no log", "recommender:app", ["-w", "2", "--preload"],
            {**similar, "SELDON_LOG_LEVEL": "WARNING"},
        ),
        (
            "ours, similarity, gunicorn's sync", "recommender:app",
            ["-w", "2", "--preload", "-k", "sync"], similar,
        ),
        (
            "template, similarity", "benchmarks.template_way:app", [*STOCK, "--preload"],
            {**old, "RULE": "similarity"},
        ),
        ("template, random", "benchmarks.template_way:app", STOCK, {**old, "RULE": "random"}),
        ("constant view", "benchmarks.constant_view:app", STOCK, {}),
        ("constant view, our worker", "benchmarks.constant_view:app", ["-w", "2"], {}),
    ]  # fmt: skip
    contenders = []
    for name, app, options, environment in plans:
        log = folder / f"{name}.log"
        process, port = stack.enter_context(
            gunicorn(app, *options, log=log, env=environment, seconds=300)
        )
        contenders.append(Contender(name, port, psutil.Process(process.pid)))
    return contenders


def put_list(cache: int, size: int, newest: int = 0) -> str:
    """A list of the newest ids, as the Seldon server writes it."""
    ids = range(newest or 1_000_000 + size, (newest or 1_000_000 + size) - size, -1)
    if not newest:
        ids = range(100_000, 100_000 - size, -1)
    key = hashlib.md5(f"RecentItemsJSON:test1:0:{size}".encode()).hexdigest()
    pylibmc.Client([f"127.0.0.1:{cache}"]).set(key, json.dumps(list(ids), separators=(",", ":")))
    return key


def address(port: int, key: str) -> str:
    recent = "%2C".join(str(100_000 - 37 * n) for n in range(20))
    excluded = "%2C".join(str(100_000 - 37 * n) for n in range(10))
    return (
        f"http://127.0.0.1:{port}/recommend?client=test1&user_id=1&recent_interactions={recent}"
        f"&dimensions=0&exclusion_items={excluded}&data_key={key}&limit=30"
    )


def drive(contender: Contender, url: str, seconds: int, connections: int) -> Measured:
    before = contender.cpu_seconds()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = contender.cpu_seconds() - before
    requests = int(re.search(r"(\d+) requests in", said)[1])
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return Measured(
        float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
        as_ms(re.search(r"\n +99% +(\S+)", said)[1]),
        used / max(requests, 1) * 1e6,
        int(failed[1]) if failed else 0,
    )


def as_ms(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}[unit]


def report(results: dict[tuple[str, int], list[Measured]], names: list[str]) -> None:
    for title, value, form in (
        ("requests a second", lambda m: m.rate, "{:,.0f}"),
        ("p99, ms", lambda m: m.p99_ms, "{:.1f}"),
        ("CPU a request, µs", lambda m: m.cpu_us, "{:,.0f}"),
    ):
        print(f"\n| {title} | " + " | ".join(f"{size:,}" for size in SIZES) + " |")
        print("| --- |" + " --- |" * len(SIZES))
        for name in names:
            medians = [statistics.median(map(value, results[name, size])) for size in SIZES]
            print(f"| {name} | " + " | ".join(form.format(m) for m in medians) + " |")
    failed = sum(m.failed for rows in results.values() for m in rows)
    print(f"\nanswers other than 200: {failed}")

    def ratio(a: tuple[str, int], b: tuple[str, int], value) -> str:
        pairs = zip(results[a], results[b], strict=True)
        return f"{statistics.median(value(x) / value(y) for x, y in pairs):.2f}"

    def rate(m):
        return m.rate

    print("\n| ratio, medians of the rounds | |\n| --- | --- |")
    rows = [
        ("throughput, 100,000, similarity: ours / template",
         ratio(("ours, similarity", 100_000), ("template, similarity", 100_000), rate)),
        ("throughput, 100,000, random: ours / template",
         ratio(("ours, random", 100_000), ("template, random", 100_000), rate)),
        ("throughput, 100,000: ours / constant view",
         ratio(("ours, similarity", 100_000), ("constant view", 100_000), rate)),
        ("throughput, 1,000: ours / constant view",
         ratio(("ours, similarity", 1_000), ("constant view", 1_000), rate)),
        ("throughput, 100,000: ours / constant view in our worker",
         ratio(("ours, similarity", 100_000), ("constant view, our worker", 100_000), rate)),
        ("throughput, 100,000: ours in gunicorn's sync worker / constant view",
         ratio(("ours, similarity, gunicorn's sync", 100_000), ("constant view", 100_000), rate)),
        ("p99, 100,000: ours / constant view",
         ratio(("ours, similarity", 100_000), ("constant view", 100_000), lambda m: m.p99_ms)),
        ("CPU a request: 100,000 / 100 candidates",
         ratio(("ours, similarity", 100_000), ("ours, similarity", 100), lambda m: m.cpu_us)),
        ("CPU a request at 1,000: without the log / with it",
         ratio(("ours, similarity, no log", 1_000), ("ours, similarity", 1_000),
               lambda m: m.cpu_us)),
    ]  # fmt: skip
    for name, value in rows:
        print(f"| {name} | {value} |")


def report_new_lists(port: int, cache: int) -> None:
    """What a list that nobody has asked for yet adds to the request that meets it."""
    fresh, known = [], []
    for newest in range(5_000_000, 5_000_040):
        key = put_list(cache, 100_000, newest)
        for timings in (fresh, known):
            with urllib.request.urlopen(address(port, key)) as answer:
                said = answer.headers["Server-Timing"]
                source = answer.headers["X-Candidates-Source"]
            if source == ("memcached" if timings is fresh else "cache"):
                total = re.search(r"total;dur=([\d.]+)", said)[1]
                timings.append(float(total))
    if fresh and known:
        added = statistics.median(fresh) - statistics.median(known)
        print(f"\na new list of 100,000 adds {added:.2f} ms (median of {len(fresh)})")


def report_memory(contender: Contender) -> None:
    sizes = []
    for child in contender.master.children():
        info = child.memory_full_info()
        sizes.append((info.rss / 2**20, info.uss / 2**20))
    text = ", ".join(f"{rss:.0f} MiB resident of which {uss:.0f} its own" for rss, uss in sizes)
    print(f"workers of '{contender.name}' with lists loaded: {text}")


def report_start(cache: int, events: Path, folder: Path) -> None:
    seconds = []
    for _ in range(5):
        started = time.monotonic()
        environment = {"SELDON_MEMCACHE__servers": f"127.0.0.1:{cache}"}
        with gunicorn(
            "recommender:app", "-w", "2", "--preload", log=folder / "start.log", env=environment
        ) as (_, port):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
                assert answer.status == 200
            seconds.append(time.monotonic() - started)
    print(f"start to ready: {statistics.median(seconds):.2f} s (median of {len(seconds)})")


if __name__ == "__main__":
    main()
