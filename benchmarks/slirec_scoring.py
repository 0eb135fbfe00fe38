"""Scoring one user with a history of 50, the public SLi-Rec and ours in turn; one thread.

    python benchmarks/slirec_scoring.py --reference /path/to/reference/bin/python

The reference scores 234 items in batches of 16, as the public notebook serves it, with its text
already parsed. Ours answers `recommend` whole, from ids to the best 16.
"""

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")

import time

import numpy as np
import torch
from seldon.slirec.model import SLiRecRecommender
from slirec_peer import Reference, arguments

from seldon.candidates import Candidates
from seldon.slirec.dataset import split
from seldon.slirec.events import Events
from seldon.slirec.hyperparameters import Hyperparameters
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
            taken[name] = served.seconds()
        many += [large.seconds() for _ in range(10)] if number >= 3 else []
        if number >= 3:  # the first three warm up
            for name, value in taken.items():
                seconds[name].append(value)
    reference.stop()
    base = np.median(seconds["reference"])
    print("234 items, history 50:")
    for name, values in seconds.items():
        median, high = np.median(values), np.percentile(values, 95)
        print(
            f"  {name:10} median {median * 1e3:7.2f} ms, p95 {high * 1e3:7.2f} ms, "
            f"{base / median:5.1f} times the reference"
        )
    print(
        f"2,000 items, history 50, mended: median {np.median(many) * 1e3:.1f} ms, "
        f"p99 {np.percentile(many, 99) * 1e3:.1f} ms over {len(many)} requests"
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

    def seconds(self):
        started = time.perf_counter()
        self.recommender.recommend(-1, self.candidates, self.recent, "shop", 16)
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
