"""Training positives a second, the public SLi-Rec and ours step by step in turn.

    python benchmarks/slirec_training.py --reference /path/to/reference/bin/python

Both take batches of 400 positives with 4 negatives and full histories of 50, on all the cores
there are; on a busy machine set OMP_NUM_THREADS=1, as PyTorch's threads wait for each other, and
compare processor time. The reference computes as it ships, the history once for each candidate.
"""

import numpy as np
import torch
from slirec_peer import Reference, arguments, timed

from seldon.slirec.dataset import split
from seldon.slirec.events import Events
from seldon.slirec.examples import training_groups
from seldon.slirec.hyperparameters import Hyperparameters
from seldon.slirec.training_run import TrainingRun

POSITIVES = 400


def main():
    given = arguments("Training speed beside the reference.", rounds=12)
    ours = {name: steps(name) for name in ("published", "mended")}
    reference = Reference(given.reference)
    seconds = {"reference": [], **{name: [] for name in ours}}
    for number in range(given.rounds + 2):
        taken = {"reference": reference.ask("train")}
        for name, stepping in ours.items():
            taken[name] = timed(lambda stepping=stepping: next(stepping))
        if number >= 2:  # the first two warm up
            for name, value in taken.items():
                seconds[name].append(value)
    reference.stop()
    print(f"{torch.get_num_threads()} threads of ours; medians of {given.rounds} steps")
    base = np.median(seconds["reference"], axis=0)
    for name, values in seconds.items():
        clock, processor = np.median(values, axis=0)
        best = POSITIVES / np.min(values, axis=0)[0]
        print(
            f"{name:10} {POSITIVES / clock:6.0f} positives/s (best {best:.0f}),"
            f" step {clock:.3f} s, {processor:.3f} s of processor; the reference takes "
            f"{base[0] / clock:.1f} times as long, {base[1] / processor:.1f} times the processor"
        )


def steps(variant):
    """Endless training steps on random events, all with long histories."""
    rng = np.random.default_rng(0)
    users, length, items = 149, 480, 234
    item = rng.integers(0, items, users * length)
    events = Events(
        np.repeat([f"u{n}" for n in range(users)], length),
        np.char.add("i", item.astype(str)),
        np.char.add("c", (item % 10).astype(str)),
        rng.integers(1_727_000_000, 1_730_000_000, users * length),
    )
    dataset = split(events)
    h = Hyperparameters.of({"variant": variant, "min_seq_length": 50})
    run = TrainingRun(dataset, h, "cpu")
    run.network.train()
    while True:
        for groups in training_groups(dataset, h, rng):
            if len(groups.position) == POSITIVES:
                run.step(groups)
                yield


if __name__ == "__main__":
    main()
