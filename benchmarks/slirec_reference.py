"""The public SLi-Rec, kept warm in an environment of its own, for the two benchmarks beside it.

Runs under a Python 3.11 that has `recommenders==1.2.1`, `tensorflow-cpu==2.12.1` and `numpy<2`
and nothing of ours. Reads one command a line and answers each with the seconds it took, on the
clock and of processor time:

    train        one step as the library trains: 400 positives, 2,000 rows
    score N      one user with a history of 50 against N items, in batches of 16
"""

import os
import pickle
import random
import sys
import tempfile
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
from recommenders.models.deeprec.deeprec_utils import prepare_hparams
from recommenders.models.deeprec.io.sequential_iterator import SequentialIterator
from recommenders.models.deeprec.models.sequential.sli_rec import SLI_RECModel

ITEMS, CATEGORIES, LENGTH = 234, 10, 50


def main():
    answers, sys.stdout = sys.stdout, sys.stderr  # the library prints what it likes
    folder = Path(tempfile.mkdtemp(prefix="slirec-reference-"))
    model = reference_model(folder)
    steps = training_steps(model, folder)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        command, *rest = line.split()
        work = train(model, steps) if command == "train" else score(model, folder, int(rest[0]))
        clock, processor = time.perf_counter(), time.process_time()
        work()
        taken = time.perf_counter() - clock, time.process_time() - processor
        print(*taken, file=answers, flush=True)


def reference_model(folder):
    """With the settings of the public notebook."""
    for name, size in (("user", 200), ("item", ITEMS + 1), ("cate", CATEGORIES + 1)):
        with (folder / f"{name}_vocab.pkl").open("wb") as stream:
            pickle.dump({f"{name}{n}": n for n in range(size)}, stream)
    settings = prepare_hparams(
        None,
        **{f"{n}_vocab": str(folder / f"{n}_vocab.pkl") for n in ("user", "item", "cate")},
        method="classification",
        model_type="sli_rec",
        loss="softmax",
        optimizer="adam",
        learning_rate=0.001,
        embed_l2=0.0,
        layer_l2=0.0,
        layer_sizes=[100, 64],
        att_fcn_layer_sizes=[80, 40],
        activation=["relu", "relu"],
        user_dropout=True,
        dropout=[0.3, 0.3],
        user_embedding_dim=16,
        item_embedding_dim=32,
        cate_embedding_dim=8,
        hidden_size=40,
        attention_size=40,
        max_seq_length=LENGTH,
        init_method="tnormal",
        init_value=0.01,
        enable_BN=True,
        need_sample=True,
        train_num_ngs=4,
        batch_size=400,
        write_tfevents=True,
        save_model=False,
        metrics=["auc"],
        pairwise_metrics=["group_auc"],
    )
    return SLI_RECModel(settings, SequentialIterator, seed=42)


def lines(count, candidates=None):
    """Expanded examples as the library reads them; the candidates of one user, or random users."""
    history = events()
    for n in range(count):
        past = history if candidates else events()
        item = n % ITEMS + 1 if candidates else random.randint(1, ITEMS)
        fields = [
            "1",
            f"user{n % 200}",
            f"item{item}",
            f"cate{item % CATEGORIES + 1}",
            "1730000000",
        ]
        fields += [",".join(column) for column in zip(*past, strict=True)]
        yield "\t".join(fields) + "\n"


def events():
    items = [random.randint(1, ITEMS) for _ in range(LENGTH)]
    return [
        (f"item{i}", f"cate{i % CATEGORIES + 1}", str(random.randint(1727000000, 1730000000)))
        for i in items
    ]


def training_steps(model, folder):
    path = folder / "train.tsv"
    path.write_text("".join(lines(2000)))
    while True:
        yield from model.iterator.load_data_from_file(str(path), batch_num_ngs=4)


def train(model, steps):
    return lambda: model.train(model.sess, next(steps))


def score(model, folder, count):
    path = folder / f"score{count}.tsv"
    if not path.exists():
        path.write_text("".join(lines(count, candidates=True)))
        list(model.iterator.load_data_from_file(str(path)))  # parses once, and keeps it

    def work():
        size, model.iterator.batch_size = model.iterator.batch_size, 16
        batches = model.iterator.load_data_from_file(str(path), batch_num_ngs=0)
        found = [model.infer(model.sess, batch) for batch in batches]
        model.iterator.batch_size = size
        assert sum(np.size(part) for part in found) == count

    return work


if __name__ == "__main__":
    main()
