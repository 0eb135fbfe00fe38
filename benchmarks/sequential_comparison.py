"""SLi-Rec, SAR, SASRec and simple rules on MovieLens: leave one out, ranked against all items.

    python benchmarks/sequential_comparison.py --events u.data
    python benchmarks/sequential_comparison.py --events ratings.dat --seeds 1

Each user's last event is the test, the one before the validation, on which every model's
settings are chosen; models are trained on what is before both. At the test the history is
everything before the last event. Items the user has met already leave the ranking, since
nobody rates a film twice here. Intervals are 95 %, bootstrapped over users. Two values that
tie share their ranks.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from seldon.metrics import compare, mean_intervals

K = 10


@dataclass(frozen=True)
class Sequences:
    """Histories, oldest first, by user; items and users as numbers from 0."""

    items: list[np.ndarray]
    times: list[np.ndarray]
    ids: np.ndarray
    categories: np.ndarray

    @property
    def n_items(self) -> int:
        return len(self.ids)

    def before(self, last: int) -> list[np.ndarray]:
        return [items[:-last] for items in self.items]

    def target(self, last: int) -> np.ndarray:
        return np.array([items[-last] for items in self.items])


@dataclass(frozen=True)
class Options:
    """What bounds the training of SLi-Rec (epochs, newest steps read) and of SASRec (dropouts).

    SLi-Rec's checkpoints stand in `folder`; there a training that was stopped goes on.
    """

    seed: int
    epochs: int
    history: int
    dropouts: Sequence[float]
    folder: Path


def main() -> None:
    arguments = _arguments()
    data = read(arguments.events, arguments.items)
    print(f"{len(data.items)} users, {data.n_items} items, {sum(map(len, data.items))} events")
    kept: dict[str, dict] = {}
    if arguments.out and Path(arguments.out).exists():
        kept = json.loads(Path(arguments.out).read_text())
    temporary = tempfile.TemporaryDirectory()
    folder = Path(arguments.folder or temporary.name)
    for name in arguments.only or MODELS:
        started = time.time()
        runs = []
        for seed in range(42, 42 + (arguments.seeds if name in SEEDED else 1)):
            limits = (arguments.epochs, arguments.history, arguments.dropout)
            scores, chosen = MODELS[name](data, Options(seed, *limits, folder))
            runs.append(per_user(scores, data.before(1), data.target(1)))
            print(f"{name}, seed {seed}: {runs[-1].mean(0).round(4)} {chosen}", flush=True)
        kept[name] = {
            "seeds": [run.mean(0).round(4).tolist() for run in runs],
            "chosen": chosen,
            "seconds": round((time.time() - started) / len(runs), 1),
            "per_user": np.mean(runs, axis=0).tolist(),
        }
        if arguments.out:
            Path(arguments.out).write_text(json.dumps(kept))
    show({name: kept[name] for name in MODELS if name in kept})


def per_user(scores: np.ndarray, histories: list[np.ndarray], targets: np.ndarray) -> np.ndarray:
    """NDCG@10 and HR@10 of each user, (n_users, 2); the items of the history do not compete."""
    scores = scores.astype(np.float64)
    for row, history in enumerate(histories):
        scores[row, history] = -np.inf
    users = np.arange(len(targets))
    positive = scores[users, targets][:, None]
    better = (scores > positive).sum(1)
    equal = (scores == positive).sum(1) - 1
    rank = 1 + better + equal / 2
    hit = rank <= K
    return np.column_stack([hit / np.log2(rank + 1), hit])


def ndcg(scores: np.ndarray, histories: list[np.ndarray], targets: np.ndarray) -> float:
    return float(per_user(scores, histories, targets)[:, 0].mean())


# --- models: each returns the test's scores and what the validation chose ---------------------


def most_popular(data: Sequences, options: Options) -> tuple[np.ndarray, dict]:
    """Training events of each item, over all time or only the newest part of it."""
    items = np.concatenate(data.before(2))
    order = np.argsort(np.concatenate([t[:-2] for t in data.times]), kind="stable")

    def scores(newest: float) -> np.ndarray:
        kept = items[order[int(len(order) * (1 - newest)) :]]
        return np.tile(np.bincount(kept, minlength=data.n_items), (len(data.items), 1))

    newest = _best(data, [1.0, 0.5, 0.2, 0.1, 0.05], scores)
    return scores(newest), {"newest": newest}


def item_similarity(data: Sequences, options: Options) -> tuple[np.ndarray, dict]:
    """Sum of the similarities to the last n items, each step back worth `decay` of the next."""
    seen = _seen(data)
    together = seen.T @ seen
    count = np.diag(together).copy()
    root = np.sqrt(np.maximum(np.outer(count, count), 1))
    union = np.maximum(count[:, None] + count[None, :] - together, 1)
    tables = {"cosine": together / root, "jaccard": together / union}
    tables["lift"] = together / np.maximum(root**2, 1) * (together >= 5)
    for matrix in tables.values():
        np.fill_diagonal(matrix, 0)

    def scores(similarity: str, n: int, decay: float, last: int = 1) -> np.ndarray:
        rows = np.zeros((len(data.items), data.n_items))
        for row, history in enumerate(data.before(last)):
            recent = history[-n:]
            rows[row] = decay ** np.arange(len(recent))[::-1] @ tables[similarity][recent]
        return rows

    grid = list(itertools.product(tables, [1, 3, 5, 10, 20, 50], [0.7, 0.9, 1.0]))
    found = [ndcg(scores(*g, last=2), data.before(2), data.target(2)) for g in grid]
    best = grid[int(np.argmax(found))]
    return scores(*best), dict(zip(("similarity", "n", "decay"), best, strict=True))


def sar(data: Sequences, options: Options) -> tuple[np.ndarray, dict]:
    """SAR: similarity from whole histories, affinity that halves every `half_life` days."""
    from seldon.interactions import Interactions, Vocabulary
    from seldon.sar.parameters import TrainingParameters
    from seldon.sar.training import train

    lengths = [len(items) - 2 for items in data.items]
    events = Interactions(
        Vocabulary(np.arange(len(lengths))),
        Vocabulary(np.arange(data.n_items)),
        np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
        np.concatenate(data.before(2)).astype(np.int32),
        np.concatenate([times[:-2] for times in data.times]),
        np.ones(sum(lengths), np.float32),
    )

    def scores(similarity: str, threshold: int, half_life: float, last: int = 1) -> np.ndarray:
        model = models[similarity, threshold]
        rows = []
        for items, times in zip(data.items, data.times, strict=True):
            age = (times[-last - 1] - times[:-last]) / 86400
            found = model.score(model.items.indices(items[:-last]), 0.5 ** (age / half_life))
            rows.append(np.zeros(data.n_items))
            rows[-1][model.items.ids] = found
        return np.array(rows)

    models = {}
    for similarity, threshold in itertools.product(["Jaccard", "Lift", "Cooccurrence"], [1, 6]):
        settings = TrainingParameters(similarity_function=similarity, support_threshold=threshold)
        models[similarity, threshold], _ = train(events, parameters=settings)
    grid = [(*key, days) for key in models for days in (1e6, 30, 1, 0.01, 0.001)]
    found = [ndcg(scores(*g, last=2), data.before(2), data.target(2)) for g in grid]
    best = grid[int(np.argmax(found))]
    return scores(*best), dict(zip(("similarity", "threshold", "half_life"), best, strict=True))


def sasrec(data: Sequences, options: Options) -> tuple[np.ndarray, dict]:
    import torch
    from sasrec import Settings, fit, score

    torch.set_num_threads(1)
    train, valid = data.before(2), data.target(2)
    best, kept, chosen = -1.0, None, {}
    for dropout in options.dropouts:
        model = fit(
            *(train, valid, data.n_items),
            lambda scores, targets: ndcg(scores, train, targets),
            Settings(dropout=dropout, seed=options.seed),
        )
        found = ndcg(score(model, train), train, valid)
        if found > best:
            best, kept, chosen = found, model, {"dropout": dropout, "valid": round(found, 4)}
    return score(kept, data.before(1)), chosen


def slirec(
    data: Sequences, options: Options, popularity: float = 1.0, **changed
) -> tuple[np.ndarray, dict]:
    """SLi-Rec as `python -m seldon.slirec train` makes it; the validation picks the epoch.

    `popularity` is the weight of popularity in `SLiRecRecommender`, which needs no training of
    its own: what `options.folder` has of a training is taken from there.
    """
    import torch

    from seldon.slirec.dataset import split
    from seldon.slirec.events import Events
    from seldon.slirec.hyperparameters import Hyperparameters
    from seldon.slirec.model import SLiRecRecommender
    from seldon.slirec.training import train

    torch.set_num_threads(1)
    lengths = [len(items) for items in data.items]
    number = np.concatenate(data.items)
    events = Events(
        np.repeat(np.arange(len(lengths)), lengths).astype(str),
        data.ids[number].astype(str),
        data.categories[number],
        np.concatenate(data.times),
    )
    dataset = split(events, seed=options.seed, valid_negatives=100)
    limits = {"epochs": options.epochs, "max_seq_length": options.history}
    settings = Hyperparameters.of({"seed": options.seed, **limits, **changed})
    trained = train(dataset, settings, options.folder / _folder_name(options.seed, changed))
    recommender = SLiRecRecommender.of(trained.network, dataset, popularity=popularity)
    best = trained.history[trained.best_epoch - 1]["group_auc"]
    chosen = {**changed, "epoch": trained.best_epoch, "valid group AUC": round(best, 4)}
    return _ranked(recommender, data), chosen


def _folder_name(seed: int, changed: dict) -> str:
    return "-".join(["slirec", str(seed), *(f"{name}-{value}" for name, value in changed.items())])


def _ranked(recommender, data: Sequences) -> np.ndarray:
    """Scores at the test; what training never met comes behind everything else."""
    names = data.ids.astype(str)
    column = {name: number for number, name in enumerate(names)}
    rows = np.full((len(data.items), data.n_items), -np.inf)
    for row, (items, times) in enumerate(zip(data.items, data.times, strict=True)):
        found, scores = recommender.rank(names[items[:-1]], times[:-1], now=times[-1])
        rows[row, [column[name] for name in found]] = scores
    return rows


MODELS: dict[str, Callable[[Sequences, Options], tuple[np.ndarray, dict]]] = {
    "most popular": most_popular,
    "item similarity": item_similarity,
    "SAR": sar,
    "SLi-Rec": slirec,
    "SLi-Rec, popularity=0": partial(slirec, popularity=0.0),
    "SLi-Rec, 50 negatives": partial(slirec, train_num_ngs=50),
    "SLi-Rec as published": partial(slirec, variant="published"),
    "SASRec, full softmax": sasrec,
}
SEEDED = {name for name in MODELS if name.startswith(("SL", "SAS"))}


def _best(data: Sequences, choices: list, scores: Callable[..., np.ndarray]):
    found = [ndcg(scores(choice), data.before(2), data.target(2)) for choice in choices]
    return choices[int(np.argmax(found))]


def _seen(data: Sequences) -> np.ndarray:
    seen = np.zeros((len(data.items), data.n_items), np.float32)
    for row, items in enumerate(data.before(2)):
        seen[row, items] = 1
    return seen


# --- in and out -----------------------------------------------------------------------------


def read(path: str, items: str | None = None) -> Sequences:
    """`u.data` of MovieLens 100K, `ratings.dat` of 1M, or any table of user, item, …, time.

    `items` is `u.item` or `movies.dat`; a film's category is its first genre.
    """
    rows = [line.replace("::", "\t").split() for line in _lines(path, "utf-8")]
    table = np.array([[int(row[0]), int(row[1]), int(row[-1])] for row in rows if row[0].isdigit()])
    # By user, then time; equal times in file order.
    table = table[np.lexsort((np.arange(len(table)), table[:, 2], table[:, 0]))]
    ids, number = np.unique(table[:, 1], return_inverse=True)
    cuts = np.flatnonzero(np.diff(table[:, 0])) + 1
    parts = [np.split(column, cuts) for column in (number, table[:, 2])]
    long = [row for row, part in enumerate(parts[0]) if len(part) >= 5]
    genres = dict(_genres(items)) if items else {}
    categories = np.array([genres.get(int(id), "film") for id in ids])
    kept = [[part[row] for row in long] for part in parts]
    return Sequences(*kept, ids, categories)


def _genres(path: str) -> Iterator[tuple[int, str]]:
    for line in _lines(path, "latin-1"):
        if "::" in line:
            id, _, genres = line.strip().split("::")
            yield int(id), genres.split("|")[0]
        else:
            fields = line.strip().split("|")
            yield int(fields[0]), f"genre {fields[-19:].index('1')}"


def _lines(path: str, encoding: str) -> Iterator[str]:
    with (
        gzip.open(path, "rt", encoding=encoding)
        if path.endswith(".gz")
        else open(path, encoding=encoding) as stream
    ):
        yield from (line for line in stream if line.strip())


def show(kept: dict[str, dict]) -> None:
    rng = np.random.default_rng(0)
    table = {name: np.array(entry["per_user"]) for name, entry in kept.items()}
    best = max(table, key=lambda name: table[name][:, 0].mean())
    print("\n| model | NDCG@10 | HR@10 | behind the best, NDCG@10 | seeds | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, values in table.items():
        a, b = mean_intervals(values, rng)
        behind = compare(table[best][:, 0], values[:, 0], rng)
        gap = "–" if name == best else f"{behind.difference:.4f} (p {behind.p_value:.3f})"
        print(
            f"| {name} | {a.mean:.4f} ({a.low:.4f} to {a.high:.4f}) "
            f"| {b.mean:.4f} ({b.low:.4f} to {b.high:.4f}) | {gap} "
            f"| {len(kept[name]['seeds'])} | {kept[name]['seconds']} |"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--events", required=True, help="u.data or ratings.dat, may be .gz")
    parser.add_argument("--items", help="u.item or movies.dat, for SLi-Rec's categories")
    parser.add_argument("--seeds", type=int, default=3, help="of the trained models; default 3")
    parser.add_argument("--epochs", type=int, default=10, help="of SLi-Rec; default 10")
    parser.add_argument("--history", type=int, default=50, help="steps SLi-Rec reads; default 50")
    parser.add_argument(
        "--dropout",
        type=float,
        nargs="+",
        default=[0.3, 0.5],
        help="of SASRec; the validation chooses; default 0.3 0.5",
    )
    parser.add_argument("--folder", help="keep SLi-Rec's checkpoints here, and go on from them")
    parser.add_argument("--only", action="append", choices=MODELS, help="may be repeated")
    parser.add_argument("--out", help="keep every user's values here, and add to what is there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
