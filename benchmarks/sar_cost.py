"""What training SAR costs, against events, items and Σ basket²; see docs/sar-at-scale.md.

    python -m benchmarks.sar_cost                # the table and the fitted cost model
    python -m benchmarks.sar_cost --spark        # one size here and on Spark, two worker processes

Each size is trained in a process of its own, after a tiny model has compiled everything. Time is
processor time of all cores, the least of five, which a busy machine hardly changes; memory is the
peak above what the process had before, so without the events themselves (20 bytes each).
"""

from __future__ import annotations

import argparse
import ctypes
import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.power_law import power_law_events
from benchmarks.sar_training import PeakMemory
from seldon.interactions import Interactions, Vocabulary
from seldon.sar.counting import ByPopularity, baskets
from seldon.sar.parameters import TrainingParameters
from seldon.sar.training import train

ROUNDS = 5
SIZES = [
    # users, items, events: events doubled, then items, then the length of baskets
    (20_000, 5_000, 500_000),
    (40_000, 5_000, 1_000_000),
    (80_000, 5_000, 2_000_000),
    (40_000, 10_000, 1_000_000),
    (40_000, 20_000, 1_000_000),
    (40_000, 40_000, 1_000_000),
    (20_000, 5_000, 1_000_000),
    (10_000, 5_000, 1_000_000),
    (5_000, 5_000, 1_000_000),
    (160_000, 20_000, 4_000_000),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=3, type=int, metavar=("USERS", "ITEMS", "EVENTS"))
    parser.add_argument("--neighbours", type=int, help="keep so many of each item (all)")
    parser.add_argument("--spark", action="store_true")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(*options.one, options.neighbours)))
        return
    if options.spark:
        show_spark(*SIZES[1])
        return
    show([_in_a_process(size, options.neighbours) for size in SIZES])


def measured(n_users: int, n_items: int, n_events: int, neighbours: int | None) -> dict[str, Any]:
    """Train once; the machine-independent sizes beside time and memory."""
    parameters = TrainingParameters(neighbours=neighbours)
    train(made(50, 40, 1_000), parameters=parameters)
    events = made(n_users, n_items, n_events)
    prepared = ByPopularity(baskets(events, "User"))
    visits = int(prepared.work.sum())
    del prepared
    # What making the events has freed goes back to the system, or it would hide what is used.
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    with PeakMemory() as memory:
        model, _ = train(events, parameters=parameters)
    seconds = []
    for _ in range(ROUNDS):
        started = _processor()
        train(events, parameters=parameters)
        seconds.append(_processor() - started)
    return {
        "users": n_users,
        "items": n_items,
        "events": n_events,
        "visits": visits,
        "entries": len(model.similarity.columns),
        "seconds": min(seconds),
        "bytes": memory.above,
    }


def made(n_users: int, n_items: int, n_events: int) -> Interactions:
    user, item = power_law_events(n_users, n_items, n_events, np.random.default_rng(0))
    users, items = np.arange(n_users), np.arange(n_items)
    return Interactions(
        Vocabulary(users),
        Vocabulary(items),
        user,
        item,
        np.zeros(n_events),
        np.ones(n_events, np.float32),
    )


def show(rows: list[dict[str, Any]]) -> None:
    """The table; time fitted by events and visits, memory by events and entries."""
    print("   users   items    events      Σ pairs    entries  processor s     MiB")
    for row in rows:
        print(
            f"{row['users']:8,}{row['items']:8,}{row['events']:10,}{row['visits']:13,}"
            f"{row['entries']:11,}{row['seconds']:13.2f}{row['bytes'] / 2**20:8.0f}"
        )
    column = {name: np.array([row[name] for row in rows], float) for name in rows[0]}
    time_model = _fit(column["seconds"] * 1e9, column["events"], column["visits"])
    memory_model = _fit(column["bytes"], column["events"], column["entries"])
    print(
        f"\nprocessor time = {time_model[0]:.0f} ns · events + {time_model[1]:.2f} ns · Σ pairs"
        f"\npeak memory = {memory_model[0]:.0f} bytes · events + {memory_model[1]:.0f} bytes · "
        "entries"
    )
    for name, picked in (("events", (0, 1, 2)), ("items", (1, 3, 4, 5)), ("basket", (1, 6, 7, 8))):
        seconds = [rows[n]["seconds"] for n in picked]
        steps = [round(float(np.log2(b / a)), 2) for a, b in pairwise(seconds)]
        print(f"doubling {name}: time grows by a power of {steps}")


def show_spark(n_users: int, n_items: int, n_events: int) -> None:
    """The same events from eight files: here, and on two executors of Spark."""
    from seldon.reading import read_interactions
    from seldon.sar.spark import session, train_on_spark

    parameters = TrainingParameters()
    user, item = power_law_events(n_users, n_items, n_events, np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        for part in range(8):
            pairs = np.column_stack([user[part::8], item[part::8]])
            lines = "".join(f"{u},{i},2026-03-01T00:00:00\n" for u, i in pairs.tolist())
            (Path(folder) / f"part-{part}.csv").write_text(lines)
        spark = session("local-cluster[2,1,2048]", {"spark.executor.memory": "1536m"})
        try:
            for _ in range(2):
                started = time.perf_counter()
                events, _ = read_interactions(folder)
                here, _ = train(events, parameters=parameters)
                middle = time.perf_counter()
                there, found = train_on_spark(spark, folder, parameters)
                ended = time.perf_counter()
                same = np.array_equal(here.similarity.values, there.similarity.values)
                print(
                    f"\n{n_events:,} events: here {middle - started:.1f} s, Spark "
                    f"{ended - middle:.1f} s, ratio {(ended - middle) / (middle - started):.1f}; "
                    f"same numbers: {same}"
                )
                print({stage: round(seconds, 1) for stage, seconds in found.durations.items()})
        finally:
            spark.stop()


def _in_a_process(size: tuple[int, int, int], neighbours: int | None) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.sar_cost", "--one", *map(str, size)]
    if neighbours is not None:
        command += ["--neighbours", str(neighbours)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(found.stdout))


def _fit(measured: Any, *columns: Any) -> Any:
    """Least squares of relative errors, so that small sizes count as much as large ones."""
    matrix = np.column_stack(columns) / measured[:, None]
    return np.linalg.lstsq(matrix, np.ones(len(measured)), rcond=None)[0]


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
