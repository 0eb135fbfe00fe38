"""Training through the models API at the sizes of the original's own table.

    python -m benchmarks.models_training --sizes 2K/300K 30K/9M

Each size is one model: its usage file is uploaded, its row created, and a trainer trains it in a
child process, evaluation aside as in the original's table. The seconds are those from taking the
model up to its being completed: reading the CSV, counting, similarity, writing and checking the
model folder. The original's are for its service on 2 and 4 cores, as Microsoft published them;
"-" is a size that did not fit into its memory. Events are synthetic, see `benchmarks.power_law`.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.power_law import power_law_events
from seldon.config import settings
from seldon.models_api.trainer import Trainer
from seldon.models_api.training import warm_up
from seldon.models_api.workplace import open_workplace

# Items/events: items, events, the original's seconds on 2 cores (S2) and on 4 (S3).
TABLE = {
    "2K/300K": (2_000, 300_000, 30, 30),
    "2K/3M": (2_000, 3_000_000, 300, 240),
    "15K/5M": (15_000, 5_000_000, 60, 60),
    "20K/700K": (20_000, 700_000, 180, 120),
    "25K/300K": (25_000, 300_000, 180, 120),
    "30K/600K": (30_000, 600_000, 180, 120),
    "30K/9M": (30_000, 9_000_000, None, 600),
    "35K/4M": (35_000, 4_000_000, 240, 240),
    "60K/15M": (60_000, 15_000_000, None, 2100),
    "100K/1M": (100_000, 1_000_000, 3000, 1800),
    "400K/1M": (400_000, 1_000_000, None, 21600),
}
EVENTS_OF_A_USER = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=TABLE, default=list(TABLE), metavar="SIZE")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(*train_one(*TABLE[arguments.one][:2]))
        return
    print("items/events   seconds  peak MiB   original 2 cores  4 cores   ratio to 4 cores")
    for size in arguments.sizes:
        # A process of its own, so that its peak of memory is its own.
        command = [sys.executable, "-m", "benchmarks.models_training", "--one", size]
        seconds, peak = map(float, subprocess.check_output(command, text=True).split())
        two, four = TABLE[size][2:]
        shown = f"{two or '-':>16}  {four:>7}"
        print(f"{size:12}  {seconds:8.1f}  {peak:8.0f}   {shown}   {four / seconds:10.0f}x")


def train_one(n_items: int, n_events: int) -> tuple[float, float]:
    """Seconds, and the peak of the training process in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        values, _ = settings(
            None, {}, MODELS_ROOT=f"{folder}/models", MODELS_INPUT_ROOT=f"{folder}/inputs"
        )
        place = open_workplace(values)
        write_usage(Path(folder) / "inputs" / "shop" / "usage.csv", n_items, n_events)
        parameters = {"blobContainerName": "shop", "usageRelativePath": "usage.csv"}
        model = place.registry.create(parameters, None)
        warm_up()
        started = time.perf_counter()
        Trainer(place).train_next()
        seconds = time.perf_counter() - started
        trained = place.registry.get(model.id)
        assert trained is not None and trained.model_status.name == "Completed", trained
        place.registry.close()
        return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def write_usage(path: Path, n_items: int, n_events: int) -> None:
    rng = np.random.default_rng(0)
    user, item = power_law_events(n_events // EVENTS_OF_A_USER, n_items, n_events, rng)
    minutes = rng.integers(0, 60 * 24 * 60, n_events)
    times = (np.datetime64("2026-01-01T00:00:00") + minutes.astype("m8[m]")).astype(str)
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="ascii") as stream:
        for start in range(0, n_events, 1_000_000):
            part = slice(start, start + 1_000_000)
            stream.writelines(
                f"user{u},item-{i},{t}\n"
                for u, i, t in zip(
                    user[part].tolist(), item[part].tolist(), times[part], strict=True
                )
            )


if __name__ == "__main__":
    main()
