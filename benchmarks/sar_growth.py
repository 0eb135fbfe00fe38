"""How SAR training grows: double the events, the items, or the length of baskets.

    python -m benchmarks.sar_growth --plot growth.png

Each line of the table doubles one thing and keeps the others; the exponent is the slope of the
logarithms, over all doublings. CPU time of this process, compilation not counted. Threshold 1
and the best 100 neighbours of each item: the most work that a data set can give.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.power_law import power_law_events
from seldon.interactions import Interactions, Vocabulary
from seldon.sar.counting import ByPopularity, baskets
from seldon.sar.neighbours import nearest_neighbours

SERIES = {
    "events (users with them)": [(5_000 << n, 5_000, 250_000 << n) for n in range(5)],
    "items": [(20_000, 2_500 << n, 1_000_000) for n in range(5)],
    "basket length (events of as many users)": [(20_000, 10_000, 125_000 << n) for n in range(5)],
}


def cpu_seconds(n_users: int, n_items: int, n_events: int) -> tuple[float, int]:
    """CPU time of training, and the pairs it met."""
    users, items = power_law_events(n_users, n_items, n_events, np.random.default_rng(1))
    events = Interactions(
        Vocabulary.of_sorted(np.arange(n_users)),
        Vocabulary.of_sorted(np.arange(n_items)),
        users,
        items,
        np.zeros(n_events),
        np.ones(n_events, np.float32),
    )
    times = []
    for _ in range(3):
        started = time.process_time()
        prepared = ByPopularity(baskets(events, "User"))
        nearest_neighbours(prepared, "Jaccard", 1, 100)
        times.append(time.process_time() - started)
    return min(times), int(prepared.work.sum())


def exponent(sizes: np.ndarray, times: np.ndarray) -> float:
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def plot(results: dict[str, list[tuple[float, int]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    for name, found in results.items():
        axes.loglog(
            2.0 ** np.arange(len(found)), [seconds for seconds, _ in found], "o-", label=name
        )
    for axis, scaled in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        scaled("log", base=2)
        axis.set_major_formatter("{x:g}")
    axes.set_xlabel("times the smallest")
    axes.set_ylabel("CPU seconds")
    axes.legend()
    figure.savefig(path, dpi=150, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves (matplotlib)")
    options = parser.parse_args()
    cpu_seconds(100, 100, 1000)
    results: dict[str, list[tuple[float, int]]] = {}
    for name, sizes in SERIES.items():
        results[name] = []
        print(name)
        for size in sizes:
            seconds, visits = cpu_seconds(*size)
            results[name].append((seconds, visits))
            users, items, events = size
            print(
                f"  {users:9,} users {items:9,} items {events:10,} events "
                f"{visits:14,} pairs met {seconds:8.2f} s"
            )
        doubled = 2.0 ** np.arange(len(sizes))
        times = np.array([seconds for seconds, _ in results[name]])
        pairs = np.array([float(visits) for _, visits in results[name]])
        print(
            f"  time grows by the power {exponent(doubled, times):.2f}, "
            f"the pairs met by {exponent(doubled, pairs):.2f}",
            flush=True,
        )
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
