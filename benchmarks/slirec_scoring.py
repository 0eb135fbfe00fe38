"""Scoring one user with a history of 50, the public SLi-Rec and ours in turn; one thread.

    python benchmarks/slirec_scoring.py --reference /path/to/reference/bin/python

The reference scores 234 items in batches of 16, as the public notebook serves it, with its text
already parsed. Ours answers `recommend` whole, from ids to the best 16.
"""

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")


import numpy as np
import torch
from slirec_peer import Reference, arguments, timed

from seldon.candidates import Candidates
from seldon.slirec.dataset import split
from seldon.slirec.events import Events
from seldon.slirec.hyperparameters import Hyperparameters
from seldon.slirec.model import SLiRecRecommender
from seldon.slirec.network import SLiRecNetwork


def main():
    given = arguments("Scoring speed beside the reference.", rounds=30)
    reference = Reference(given.reference)
    small = {name: Served(name, 234) for name in ("published", "mended")}
    large = Served("mended", 2000)
    seconds = {"reference": [], **{name: [] for name in small}}
    many = []
    for number in range(given.rounds + 3):
        taken = {"reference": reference.ask("score 234")}
        for name, served in small.items():
            taken[name] = timed(served.request)
        many += [timed(large.request) for _ in range(10)] if number >= 3 else []
        if number >= 3:  # the first three warm up
            for name, value in taken.items():
                seconds[name].append(value)
    reference.stop()
    base = np.median(seconds["reference"], axis=0)
    print("234 items, history 50; on the clock and of processor time:")
    for name, values in seconds.items():
        clock, processor = np.median(values, axis=0)
        print(
            f"  {name:10} median {clock * 1e3:7.2f} ms ({processor * 1e3:7.2f}), p95 "
            f"{np.percentile(values, 95, axis=0)[0] * 1e3:7.2f} ms; the reference takes "
            f"{base[0] / clock:.1f} times as long, {base[1] / processor:.1f} times the processor"
        )
    median, high = np.percentile(many, [50, 99], axis=0) * 1e3
    print(
        f"2,000 items, history 50, mended: median {median[0]:.1f} ms ({median[1]:.1f}), p99 "
        f"{high[0]:.1f} ms ({high[1]:.1f}) over {len(many)} requests"
    )


class Served:
    """A recommender with random weights, and one request to it."""

    def __init__(self, variant, items):
        rng = np.random.default_rng(0)
        item = np.concatenate([np.arange(items), rng.integers(0, items, 4 * items)])
        events = Events(
            np.repeat("u", len(item)),
            item.astype(str),
            (item % 10).astype(str),
            np.arange(len(item)),
        )
        dataset = split(events)
        h = Hyperparameters.of({"variant": variant})
        torch.manual_seed(0)
        network = SLiRecNetwork(
            len(dataset.vocabulary.items), len(dataset.vocabulary.categories), h
        ).eval()
        self.recommender = SLiRecRecommender.of(network, dataset)
        self.candidates = Candidates.of(np.arange(items))
        self.recent = rng.integers(0, items, 50).tolist()

    def request(self):
        self.recommender.recommend(-1, self.candidates, self.recent, "shop", 16)


if __name__ == "__main__":
    main()
