"""The steps of ``python -m seldon.slirec`` from events to recommendations."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from seldon.errors import InvalidModel, InvalidParameter, MissingExtra
from seldon.slirec.inventory import read_inventory
from seldon.whole_files import whole_file


def generate_command(options: Namespace) -> None:
    """Write events: invented by rules, or read from your own table or Snowplow events."""
    from seldon.slirec.events import read_events, with_categories, write_events

    inventory = read_inventory(options.folder / "inventory.json")
    if options.events:
        columns = dict(_pair(text) for text in options.column)
        separator = options.separator.replace("\\t", "\t")
        events = read_events(options.events, columns=columns, separator=separator)
        own = {handle: product.category for handle, product in inventory.by_handle.items()}
        events = with_categories(events, own)
    elif options.snowplow:
        from seldon.slirec.snowplow import read_snowplow

        events, report = read_snowplow(
            options.snowplow, inventory, app_id=options.app_id, user_field=options.user_field
        )
        print(report)
    else:
        from seldon.slirec.synthesis import generate, read_rules

        rules = read_rules(options.rules)
        now = int(time.time()) if options.now is None else options.now
        events = generate(inventory, rules, seed=options.seed, now=now, users=options.users)
    path = options.folder / "events.tsv"
    write_events(events, path)
    print(f"{path}: {len(events)} events of {len(set(events.user))} users")


def split_command(options: Namespace) -> None:
    """Assign train, valid and test, and sample the negatives of the last two."""
    from seldon.slirec.dataset import save_dataset, split
    from seldon.slirec.events import read_events

    inventory = read_inventory(options.folder / "inventory.json")
    dataset = split(
        read_events(_made(options.folder / "events.tsv", "generate")),
        seed=options.seed,
        order=options.order,
        valid_negatives=options.valid_negatives,
        test_negatives=options.test_negatives,
        item_categories={h: product.category for h, product in inventory.by_handle.items()},
    )
    save_dataset(dataset, options.folder / "dataset")
    print(
        f"{options.folder / 'dataset'}: {len(dataset.train_positions())} training examples of "
        f"{len(dataset.users)} users; {len(dataset.valid.position)} are validated and "
        f"{len(dataset.test.position)} tested"
    )


def train_command(options: Namespace) -> None:
    """Train SLi-Rec, or go on where an interrupted training stopped."""
    from seldon.slirec.dataset import load_dataset
    from seldon.slirec.hyperparameters import Hyperparameters, read_hyperparameters
    from seldon.slirec.training import train

    _compute_on(options.threads)
    dataset = load_dataset(_made(options.folder / "dataset", "split"))
    given = {"epochs": options.epochs, "seed": options.seed, "variant": options.variant}
    given = {name: value for name, value in given.items() if value is not None}
    path = options.hyperparameters
    done = train(
        dataset,
        read_hyperparameters(path, given) if path else Hyperparameters.of(given),
        options.folder / "training",
        progress=not options.quiet,
        device=options.device,
    )
    best = done.history[done.best_epoch - 1]
    print(
        f"{options.folder / 'training'}: best of {len(done.history)} epochs is {done.best_epoch}, "
        f"validation group AUC {best['group_auc']:.4f}"
    )


def evaluate_command(options: Namespace) -> None:
    """Metrics of the best epoch and of the baselines on the test candidates."""
    from seldon.slirec.evaluation import evaluate, table

    _compute_on(1)
    network, dataset = _trained(options.folder)
    found = evaluate(network, dataset, own_categories=options.own_categories)
    path = options.folder / "metrics.json"
    with whole_file(path) as file:
        file.write_text(json.dumps([one.to_json() for one in found], indent=1), encoding="utf-8")
    print(table(found))
    print(f"{found[0].groups} users; ± is half a 95 % interval; {path}")


def package_command(options: Namespace) -> None:
    """Write the model for /recommend, and log it to MLflow unless told not to."""
    from seldon.base import save_recommender
    from seldon.slirec.model import SLiRecRecommender

    network, dataset = _trained(options.folder)
    inventory = read_inventory(options.folder / "inventory.json")
    numbers = {product.handle: product.number for product in inventory.products}
    recommender = SLiRecRecommender.of(network, dataset, numbers, popularity=options.popularity)
    path = options.folder / "model"
    save_recommender(recommender, path)
    sold = len(recommender.catalogue())
    print(f"{path}: recommends {sold} of {len(inventory)} products, those that training met")
    if options.no_mlflow:
        return
    from seldon.slirec.packaging import log_model

    uri = options.tracking_uri or f"sqlite:///{options.folder.resolve() / 'mlflow.db'}"
    logged = log_model(
        recommender,
        inventory,
        tracking_uri=uri,
        registered_name=options.name,
        metrics=_measured(options.folder),
    )
    print(f"{logged.uri} at {uri}; serve it with\n  MLFLOW_TRACKING_URI={uri} \\")
    print(f"  mlflow models serve --env-manager local -p 5001 -m {logged.uri}")


def recommend_command(options: Namespace) -> None:
    """Ask the packaged model: the best products after those viewed."""
    from seldon.base import load_recommender
    from seldon.slirec.model import SLiRecRecommender
    from seldon.slirec.packaging import seconds

    recommender = load_recommender(_made(options.folder / "model", "package"))
    if not isinstance(recommender, SLiRecRecommender):
        raise InvalidParameter(f"{options.folder / 'model'} is no SLi-Rec model")
    inventory = read_inventory(options.folder / "inventory.json")
    items = _listed(options.items)
    unknown = [name for name in items if name not in recommender.vocabulary.items]
    if unknown:
        print(f"left out, because training never met it: {', '.join(unknown)}", file=sys.stderr)
    names, scores = recommender.rank(
        items,
        [seconds(text) for text in _listed(options.timestamps)] or None,
        now=time.time() if options.now is None else options.now,
        count=options.limit,
        candidates=list(inventory.by_handle),
    )
    for name, score in zip(names, scores.tolist(), strict=True):
        product = inventory.by_handle[name]
        print(f"{score:.4f}  {product.number}  {name}  ({product.category})")


def _pair(text: str) -> tuple[str, str]:
    role, equals, name = text.partition("=")
    if not equals or role not in ("user", "item", "time", "category"):
        raise InvalidParameter(
            f"--column {text!r} is not ROLE=NAME with ROLE one of user, item, time, category"
        )
    return role, name


def _compute_on(threads: int) -> None:
    if threads < 1:
        raise InvalidParameter(f"--threads {threads} is not a whole number from 1")
    try:
        import torch
    except ImportError:
        raise MissingExtra("torch", "slirec") from None
    torch.set_num_threads(threads)


def _made(path: Path, step: str) -> Path:
    if not path.exists():
        raise InvalidParameter(f"{path} does not exist; the step {step!r} writes it")
    return path


def _trained(folder: Path) -> tuple[Any, Any]:
    from seldon.slirec.checkpoints import load_network
    from seldon.slirec.dataset import load_dataset

    dataset = load_dataset(_made(folder / "dataset", "split"))
    return load_network(_made(folder / "training", "train"), dataset.vocabulary), dataset


def _measured(folder: Path) -> dict[str, float]:
    """Test metrics in MLflow's spelling, if the step evaluate was run after the training."""
    path = folder / "metrics.json"
    trained = max(epoch.stat().st_mtime for epoch in (folder / "training").glob("epoch-*"))
    if not path.exists() or path.stat().st_mtime < trained:
        return {}
    try:
        first = json.loads(path.read_text(encoding="utf-8"))[0]["metrics"]
        return {name.replace("@", "_at_"): float(value) for name, value in first.items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InvalidModel(f"{path}: not what the step 'evaluate' wrote: {error!r}") from None


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
