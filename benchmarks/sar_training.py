"""Training SAR beside SARSingleNode of `recommenders` and the cosine model of `implicit`.

    python -m benchmarks.sar_training --sizes 1M 5M --rounds 3 \\
        --recommenders-python /tmp/peers/sar/bin/python --implicit-python .venv/bin/python

The same events for all, in a process of its own each, interleaved; similarity of all items with
the best 100 of each kept (SARSingleNode keeps all, in a dense matrix). Time is that of fitting,
from arrays in memory, on the clock and in CPU of all cores; ratios are of CPU, which other
programs of the machine disturb least. Memory is the peak of the process above what it had
before fitting, imports included; size 1K shows what of it is there whatever the size. Ours
compiles once, into an empty cache, in a process that is reported apart; in the others each
fits twice, and the second time is the one shown.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

SIZES = {
    "1K": (60, 37, 1_000),
    "1M": (6_000, 3_700, 1_000_000),
    "5M": (34_000, 10_000, 5_000_000),
    "20M": (138_000, 27_000, 20_000_000),
    "50M": (1_000_000, 100_000, 50_000_000),
    "400K items": (100_000, 400_000, 1_000_000),
}
NEIGHBOURS = 100
ALL = "ALL_NEIGHBOURS"
"""Set in the environment of our process: keep every neighbour."""
LIMIT = 16 << 30
"""Address space of a peer: what needs more ends, as it would on a machine of that size."""


class PeakMemory:
    """Samples the resident memory of this process; `above` is the peak over its beginning."""

    def __enter__(self) -> PeakMemory:
        self._start = self._peak = self._now()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.above = max(self._peak, self._now()) - self._start

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            self._peak = max(self._peak, self._now())

    @staticmethod
    def _now() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()


class Stopwatch:
    """Seconds on the clock, and of CPU, since it was made."""

    def __init__(self) -> None:
        self._started = time.perf_counter(), time.process_time()

    def read(self) -> list[float]:
        return [time.perf_counter() - self._started[0], time.process_time() - self._started[1]]


def fit_ours(users: np.ndarray, items: np.ndarray, shape: tuple[int, int]) -> list[float]:
    """Clock and CPU of the second run, and the clock of the first with imports."""
    first = Stopwatch()
    from seldon.interactions import Interactions, Vocabulary
    from seldon.sar.counting import ByPopularity, baskets, count_pairs
    from seldon.sar.neighbours import item_similarity, nearest_neighbours

    events = Interactions(
        Vocabulary.of_sorted(np.arange(shape[0])),
        Vocabulary.of_sorted(np.arange(shape[1])),
        users,
        items,
        np.zeros(len(users)),
        np.ones(len(users), np.float32),
    )

    def fit() -> None:
        prepared = ByPopularity(baskets(events, "User"))
        if os.environ.get(ALL):
            item_similarity(count_pairs(prepared), "Jaccard", 1)
        else:
            nearest_neighbours(prepared, "Jaccard", 1, NEIGHBOURS)

    fit()
    with_imports = first.read()[0]
    second = Stopwatch()
    fit()
    return [*second.read(), with_imports]


def fit_implicit(users: np.ndarray, items: np.ndarray, shape: tuple[int, int]) -> list[float]:
    from implicit.nearest_neighbours import CosineRecommender
    from scipy.sparse import csr_matrix

    watch = Stopwatch()
    matrix = csr_matrix((np.ones(len(users)), (users, items)), shape=shape)
    CosineRecommender(K=NEIGHBOURS).fit(matrix.tocsr(), show_progress=False)
    return watch.read()


def fit_recommenders(users: np.ndarray, items: np.ndarray, shape: tuple[int, int]) -> list[float]:
    import pandas as pd
    from recommenders.models.sar.sar_singlenode import SARSingleNode

    frame = pd.DataFrame({"userID": users, "itemID": items, "rating": 1.0})
    watch = Stopwatch()
    SARSingleNode(similarity_type="jaccard", threshold=1).fit(frame)
    return watch.read()


FITS = {"ours": fit_ours, "implicit": fit_implicit, "recommenders": fit_recommenders}


def one_run(name: str, folder: Path) -> None:
    """Fit once in this process and print what it took."""
    users, items = np.load(folder / "users.npy"), np.load(folder / "items.npy")
    shape = tuple(np.load(folder / "shape.npy").tolist())
    with PeakMemory() as memory:
        seconds = FITS[name](users, items, shape)
    print(json.dumps({"seconds": seconds, "memory": memory.above}))


def measured(name: str, python: str, folder: Path) -> dict[str, Any] | None:
    """One run in a process of its own; None when it died."""
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [python, __file__, "--fit", name, str(folder)],
        env={
            **os.environ,
            "NUMBA_CACHE_DIR": str(folder / "compiled"),
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": str(root),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
        cwd=root,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)),
    )
    return json.loads(done.stdout) if done.returncode == 0 else None


def compare(size: str, pythons: dict[str, str], rounds: int) -> None:
    n_users, n_items, n_events = SIZES[size]
    print(f"\n{size}: {n_users:,} users, {n_items:,} items, {n_events:,} events")
    from benchmarks.power_law import power_law_events

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        users, items = power_law_events(n_users, n_items, n_events, np.random.default_rng(1))
        visits = np.bincount(users).astype(np.int64)
        print(f"  sum of squared baskets {int((visits**2).sum()):,}")
        np.save(folder / "users.npy", users)
        np.save(folder / "items.npy", items)
        np.save(folder / "shape.npy", [n_users, n_items])
        del users, items
        compiling = measured("ours", pythons["ours"], folder)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons}
        for _ in range(rounds):
            for name, python in pythons.items():
                run = measured(name, python, folder)
                if run is not None:
                    runs[name].append(run)
    if compiling is not None:
        print(
            f"  the first run ever, imports and compilation included: "
            f"{compiling['seconds'][2]:.2f} s, {compiling['memory'] / 2**30:.2f} GiB"
        )
    show(runs)


def show(runs: dict[str, list[dict[str, Any]]]) -> None:
    """Medians of each, and how many times ours they are."""
    found = {name: figures(ran) for name, ran in runs.items() if ran}
    for name in runs:
        if name not in found:
            print(f"  {name:14} did not finish within {LIMIT >> 30} GiB")
            continue
        clock, cpu, memory = found[name]
        ratios = found[name] / found["ours"]
        print(
            f"  {name:14} {clock:8.2f} s, {cpu:8.2f} s of CPU, {memory / 2**30:6.2f} GiB   times "
            f"ours: {ratios[0]:.2f} clock, {ratios[1]:.2f} CPU, {ratios[2]:.2f} memory",
            flush=True,
        )


def figures(ran: list[dict[str, Any]]) -> np.ndarray:
    """Seconds on the clock and of CPU, medians; bytes, the most."""
    seconds = np.median([run["seconds"][:2] for run in ran], axis=0)
    return np.array([*seconds, max(run["memory"] for run in ran)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["1M", "5M"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--all-neighbours", action="store_true", help="ours keeps them all, not the best 100"
    )
    parser.add_argument("--implicit-python", help="of an environment that has implicit")
    parser.add_argument("--recommenders-python", help="of one that has recommenders and numpy<2")
    parser.add_argument("--fit", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        one_run(options.fit[0], Path(options.fit[1]))
        return
    if options.all_neighbours:
        os.environ[ALL] = "1"
    pythons = {"ours": sys.executable}
    if options.implicit_python:
        pythons["implicit"] = options.implicit_python
    if options.recommenders_python:
        pythons["recommenders"] = options.recommenders_python
    for size in options.sizes:
        compare(size, pythons, options.rounds)


if __name__ == "__main__":
    main()
