"""Reading a clean usage file: ours, with its report of faults, beside pandas without one.

python -m benchmarks.reading --lines 2000000
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.power_law import power_law_events
from seldon.reading import read_interactions


def write(path: Path, lines: int) -> None:
    users, items = power_law_events(max(lines // 15, 10), 20_000, lines, np.random.default_rng(1))
    moments = np.datetime64("2026-01-01") + np.random.default_rng(2).integers(
        0, 86400 * 300, lines
    ).astype("timedelta64[s]")
    with path.open("w") as stream:
        for at in range(0, lines, 100_000):
            part = slice(at, at + 100_000)
            texts = np.datetime_as_string(moments[part])
            rows = zip(users[part].tolist(), items[part].tolist(), texts.tolist(), strict=True)
            stream.writelines(f"user{user},item-{item},{moment}\n" for user, item, moment in rows)


def with_pandas(path: Path) -> object:
    frame = pd.read_csv(path, header=None, names=["user", "item", "time"])
    times = pd.to_datetime(frame["time"], format="%Y-%m-%dT%H:%M:%S")
    return pd.factorize(frame["user"]), pd.factorize(frame["item"]), times


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "usage.csv"
        write(path, options.lines)
        readers: dict[str, Callable[[], object]] = {
            "ours": lambda: read_interactions(path, format="usage"),
            "pandas": lambda: with_pandas(path),
        }
        best = dict.fromkeys(readers, np.inf)
        for _ in range(options.rounds):
            for name, read in readers.items():
                started = time.process_time()
                read()
                best[name] = min(best[name], time.process_time() - started)
    for name, seconds in best.items():
        print(
            f"{name:8} {seconds:6.2f} s of CPU, {options.lines / seconds / 1e6:5.2f} M lines/s, "
            f"{best['ours'] / seconds:5.2f} x ours"
        )


if __name__ == "__main__":
    main()
