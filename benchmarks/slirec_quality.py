"""How good SLi-Rec is on the public shop data, over several seeds; the table of docs/slirec.md.

    python benchmarks/slirec_quality.py --data shopify --variant mended --seeds 42 1 2 3 4

`--data` holds interactions.tsv.gz, valid-candidates.tsv.gz, test-candidates.tsv.gz (columns as
`seldon.slirec.candidate_files` has them) and inventory.json (category to its products). Each
seed trains on one thread; checkpoints stand in `--folder`, where a stopped run goes on.
"""

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from seldon.slirec.candidate_files import read_candidates
from seldon.slirec.dataset import SequenceDataset, split, with_own_categories
from seldon.slirec.evaluation import BASELINES, judged
from seldon.slirec.events import read_events
from seldon.slirec.hyperparameters import VARIANTS, Hyperparameters
from seldon.slirec.network import scores
from seldon.slirec.training import train

METRICS = ["auc", "mean_mrr", "ndcg@2", "ndcg@6", "group_auc"]
OWN = ["auc", "mean_mrr"]


def main() -> None:
    given = arguments()
    torch.set_num_threads(1)
    dataset = read(given.data)
    columns = [*METRICS, *(f"own categories: {name}" for name in OWN)]
    print("| test", *columns, sep=" | ", end=" |\n")
    print("| --- " * (1 + len(columns)) + "|")
    for name, rule in BASELINES.items():
        print(row(f"rule: {name}", values(partial(rule, dataset), dataset)))
    rows = []
    for seed in given.seeds:
        settings = Hyperparameters.of({"variant": given.variant, "seed": seed})
        trained = train(dataset, settings, given.folder / f"{given.variant}-{seed}")

        def probabilities(groups, network=trained.network):
            logits = scores(network, dataset, groups).astype(np.float64)
            return np.exp(-np.logaddexp(0, -logits))

        rows.append(values(probabilities, dataset))
        print(
            row(f"{given.variant}, seed {seed}, epoch {trained.best_epoch}", rows[-1]), flush=True
        )
    if len(rows) > 1:
        print(row("mean", np.mean(rows, 0)), row("sd", np.std(rows, 0, ddof=1)), sep="\n")


def read(folder: Path) -> SequenceDataset:
    document = json.loads((folder / "inventory.json").read_text(encoding="utf-8"))
    own = {
        product["handle"]: category
        for category, products in document["categories"].items()
        for product in products
    }
    dataset = split(read_events(folder / "interactions.tsv.gz"), item_categories=own)
    parts = {
        part: read_candidates(folder / f"{part}-candidates.tsv.gz", dataset, part)
        for part in ("valid", "test")
    }
    return replace(dataset, **parts)


def values(scored, dataset: SequenceDataset) -> list[float]:
    """`METRICS` of the test as given, and `OWN` with the inventory's categories."""
    found = []
    own = with_own_categories(dataset.test, dataset.vocabulary)
    for groups, names in ((dataset.test, METRICS), (own, OWN)):
        metrics = judged("", scored(groups), resamples=2, probabilities=False).metrics
        found += [metrics[name] for name in names]
    return found


def row(name: str, numbers) -> str:
    return " | ".join([f"| {name}", *(f"{number:.3f}" for number in numbers)]) + " |"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--variant", choices=VARIANTS, default="mended")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 1, 2, 3, 4])
    parser.add_argument("--folder", type=Path, default=Path("slirec-quality"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
