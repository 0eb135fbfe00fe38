"""The walk from a shop's inventory to a served model: ``python -m seldon.slirec STEP …``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from seldon.errors import InvalidParameter, SeldonError
from seldon.slirec.inventory import (
    InventorySnapshot,
    import_pickled_inventory,
    read_inventory,
    sample_inventory,
    write_inventory,
)

DESCRIPTION = """\
From a shop's inventory to a served SLi-Rec model. Every step reads what the steps before it
wrote into the working folder, and writes its own part:

  snapshot    inventory.json     what the shop sells
  generate    events.tsv         who viewed what when: invented, or your own
  split       dataset/           who is trained, validated and tested on what
  train       training/          checkpoints and TensorBoard summaries
  evaluate    metrics.json       beside two baselines on the same test
  package     model/, mlflow/    for /recommend, and for MLflow
  recommend                      ask the packaged model

populate and cleanup fill a Shopify shop with the sample's products and empty it again.
SHOPIFY_STORE_URL and SHOPIFY_ACCESS_TOKEN name the shop.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step; the exit code is 0, 1 when it could not be done, 2 for a wrong option."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (SeldonError, OSError) as error:
        print(f"{options.step}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{options.step}: stopped; the same command goes on", file=sys.stderr)
        return 130
    return 0


# --- the steps -----------------------------------------------------------------------------


def snapshot(options: argparse.Namespace) -> None:
    """Write the inventory: the shop's, a pickled one of the showcase, or the sample."""
    path = options.folder / "inventory.json"
    if options.sample:
        inventory = sample_inventory()
        write_inventory(inventory, path)
    elif options.import_pickle:
        inventory = import_pickled_inventory(options.import_pickle)
        write_inventory(inventory, path)
    else:
        from seldon.slirec.shopify import take_snapshot

        ignored = options.ignore_collection
        with _client(options) as client:
            inventory = take_snapshot(client, path, ignored=ignored, report=_progress)
    print(f"{path}: {len(inventory)} products in {len(inventory.by_category)} categories")


def populate(options: argparse.Namespace) -> None:
    """Create the collections and products of an inventory that the shop does not have yet."""
    from seldon.slirec.shopify import populate

    with _client(options) as client:
        done = populate(
            client,
            _inventory(options.inventory),
            publication=None if options.no_publish else options.channel,
            report=_progress,
        )
        print(
            f"{client.shop}: created {done.collections} collections and {done.products} products; "
            f"{done.present} products were there already"
        )


def cleanup(options: argparse.Namespace) -> None:
    """Delete what populate created, after asking."""
    from seldon.slirec.shopify import clean_up, plan_clean_up

    with _client(options) as client:
        inventory = _inventory(options.inventory)
        plan = plan_clean_up(client, inventory, everything=options.everything)
        what = f"{len(plan.products)} products and {len(plan.collections)} collections"
        if not plan.products and not plan.collections:
            print(f"{client.shop}: nothing to delete")
            return
        if not options.yes:
            _confirm(f"Delete {what} of {client.shop}? It cannot be undone.")
        clean_up(client, plan, report=_progress)
        print(f"{client.shop}: deleted {what}")


def generate(options: argparse.Namespace) -> None:
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


def split(options: argparse.Namespace) -> None:
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
    print(f"{options.folder / 'dataset'}: {dataset}")


def train(options: argparse.Namespace) -> None:
    """Train SLi-Rec, or go on where an interrupted training stopped."""
    from seldon.slirec.dataset import load_dataset
    from seldon.slirec.hyperparameters import Hyperparameters, read_hyperparameters
    from seldon.slirec.training import train

    dataset = load_dataset(_made(options.folder / "dataset", "split"))
    path = options.hyperparameters
    told = read_hyperparameters(path).to_json() if path else {}
    given = {"epochs": options.epochs, "seed": options.seed, "variant": options.variant}
    told |= {name: value for name, value in given.items() if value is not None}
    done = train(
        dataset,
        Hyperparameters.of(told),
        options.folder / "training",
        progress=not options.quiet,
        device=options.device,
    )
    best = done.history[done.best_epoch - 1]
    print(
        f"{options.folder / 'training'}: best of {len(done.history)} epochs is {done.best_epoch}, "
        f"validation group AUC {best['group_auc']:.4f}"
    )


def evaluate(options: argparse.Namespace) -> None:
    """Metrics of the best epoch and of the baselines on the test candidates."""
    from seldon.slirec.evaluation import evaluate, table

    network, dataset = _trained(options.folder)
    found = evaluate(network, dataset, own_categories=options.own_categories)
    path = options.folder / "metrics.json"
    path.write_text(json.dumps([one.to_json() for one in found], indent=1), encoding="utf-8")
    print(table(found))
    print(f"{found[0].groups} users; ± is half a 95 % interval; {path}")


def package(options: argparse.Namespace) -> None:
    """Write the model for /recommend and, if MLflow is installed, log it there."""
    from seldon.base import save_recommender
    from seldon.slirec.model import SLiRecRecommender

    network, dataset = _trained(options.folder)
    inventory = read_inventory(options.folder / "inventory.json")
    numbers = {product.handle: product.number for product in inventory.products}
    recommender = SLiRecRecommender.of(network, dataset, numbers)
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
        metrics=_measured(options.folder / "metrics.json"),
    )
    print(f"{logged.uri} at {uri}; serve it with\n  MLFLOW_TRACKING_URI={uri} \\")
    print(f"  mlflow models serve --env-manager local -p 5001 -m {logged.uri}")


def recommend(options: argparse.Namespace) -> None:
    """Ask the packaged model: the best products after those viewed."""
    from seldon.base import load_recommender
    from seldon.slirec.model import SLiRecRecommender
    from seldon.slirec.packaging import seconds

    recommender = load_recommender(_made(options.folder / "model", "package"))
    if not isinstance(recommender, SLiRecRecommender):
        raise InvalidParameter(f"{options.folder / 'model'} is no SLi-Rec model")
    inventory = read_inventory(options.folder / "inventory.json")
    times = [seconds(text) for text in _listed(options.timestamps)] or None
    names, scores = recommender.rank(
        _listed(options.items),
        times,
        now=time.time() if options.now is None else options.now,
        count=options.limit,
        candidates=list(inventory.by_handle),
    )
    for name, score in zip(names, scores.tolist(), strict=True):
        product = inventory.by_handle[name]
        print(f"{score:.4f}  {product.number}  {name}  ({product.category})")


# --- the command line ------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seldon.slirec",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)

    step = _step(steps, snapshot)
    source = step.add_mutually_exclusive_group()
    source.add_argument("--sample", action="store_true", help="the sample inventory, no shop")
    source.add_argument("--import-pickle", metavar="FILE", help="a pickled snapshot; runs no code")
    step.add_argument(
        "--ignore-collection",
        metavar="TITLE",
        action="append",
        default=[],
        help="a collection that is never a product's category; may be repeated",
    )
    _shop_options(step)

    step = _step(steps, populate)
    _shop_options(step)
    _inventory_option(step)
    step.add_argument("--channel", default="Online Store", help="publish there (%(default)s)")
    step.add_argument("--no-publish", action="store_true", help="publish nowhere")

    step = _step(steps, cleanup)
    _shop_options(step)
    _inventory_option(step)
    step.add_argument("--everything", action="store_true", help="ALL products and collections")
    step.add_argument("--yes", action="store_true", help="do not ask")

    step = _step(steps, generate)
    source = step.add_mutually_exclusive_group()
    source.add_argument("--rules", metavar="FILE", help="YAML or JSON (the sample's rules)")
    source.add_argument("--events", metavar="FILE", help="your own table with a header line")
    source.add_argument("--snowplow", metavar="FILE", help="Snowplow events, one a line")
    step.add_argument("--seed", type=int, default=42, help="of invented events (%(default)s)")
    step.add_argument("--users", type=int, help="invented users, instead of the rules' number")
    step.add_argument("--now", type=int, metavar="SECONDS", help="end of invented events (now)")
    step.add_argument(
        "--column",
        metavar="ROLE=NAME",
        action="append",
        default=[],
        help="of --events: user, item, time or category = its column; category= for none",
    )
    step.add_argument("--separator", default="\t", help="of --events (tab)")
    step.add_argument("--app-id", help="of --snowplow: keep only this application")
    step.add_argument("--user-field", default="duid", help="of --snowplow: duid, nuid or uid")

    step = _step(steps, split)
    step.add_argument("--seed", type=int, default=42, help="of the negatives (%(default)s)")
    step.add_argument(
        "--order",
        choices=("file", "time"),
        default="file",
        help="what comes before what inside a user (%(default)s)",
    )
    step.add_argument("--valid-negatives", type=int, default=4, metavar="N", help="(%(default)s)")
    step.add_argument("--test-negatives", type=int, default=9, metavar="N", help="(%(default)s)")

    step = _step(steps, train)
    step.add_argument("--hyperparameters", metavar="FILE", help="YAML; unknown names are refused")
    step.add_argument("--epochs", type=int, help="instead of the file's")
    step.add_argument("--seed", type=int, help="instead of the file's")
    step.add_argument("--variant", choices=("mended", "published"), help="instead of the file's")
    step.add_argument("--device", help="as PyTorch names it (the accelerator if there is one)")
    step.add_argument("--quiet", action="store_true", help="no progress bar")

    step = _step(steps, evaluate)
    step.add_argument(
        "--own-categories",
        action="store_true",
        help="judge candidates with the inventory's category, not the event's",
    )

    step = _step(steps, package)
    step.add_argument(
        "--name", default="slirec_shopify_model", help="in the registry (%(default)s)"
    )
    step.add_argument("--tracking-uri", help="of MLflow (mlflow.db in the working folder)")
    step.add_argument("--no-mlflow", action="store_true", help="only the model for /recommend")

    step = _step(steps, recommend)
    step.add_argument("--items", default="", metavar="A,B", help="handles viewed, oldest first")
    step.add_argument("--timestamps", default="", metavar="S,T", help="when; seconds or ms")
    step.add_argument("--now", type=float, metavar="SECONDS", help="moment of the answer (now)")
    step.add_argument("--limit", type=int, default=10, help="(%(default)s)")
    return parser


def _step(
    steps: argparse._SubParsersAction[argparse.ArgumentParser],
    run: Callable[[argparse.Namespace], None],
) -> argparse.ArgumentParser:
    told = (run.__doc__ or "").strip()
    step = steps.add_parser(run.__name__, help=told, description=told)
    step.set_defaults(run=run)
    if run not in (populate, cleanup):
        step.add_argument(
            "--folder",
            type=Path,
            default=Path("slirec"),
            help="working folder of all steps (%(default)s)",
        )
    return step


def _shop_options(step: argparse.ArgumentParser) -> None:
    step.add_argument("--api-version", metavar="YYYY-MM", help="of Shopify's Admin API")


def _inventory_option(step: argparse.ArgumentParser) -> None:
    step.add_argument("--inventory", metavar="FILE", help="a snapshot (the sample inventory)")


def _client(options: argparse.Namespace) -> Any:
    from seldon.slirec.shopify_api import API_VERSION, ShopifyClient

    return ShopifyClient.from_environment(api_version=options.api_version or API_VERSION)


def _inventory(path: str | None) -> InventorySnapshot:
    return sample_inventory() if path is None else read_inventory(path)


def _made(path: Path, step: str) -> Path:
    if not path.exists():
        raise InvalidParameter(f"{path} does not exist; the step {step!r} writes it")
    return path


def _trained(folder: Path) -> tuple[Any, Any]:
    from seldon.slirec.checkpoints import load_network
    from seldon.slirec.dataset import load_dataset

    dataset = load_dataset(_made(folder / "dataset", "split"))
    return load_network(_made(folder / "training", "train"), dataset.vocabulary), dataset


def _measured(path: Path) -> dict[str, float]:
    """The trained model's test metrics in MLflow's spelling, if the step evaluate was run."""
    if not path.exists():
        return {}
    first = json.loads(path.read_text(encoding="utf-8"))[0]
    return {name.replace("@", "_at_"): value for name, value in first["metrics"].items()}


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _pair(text: str) -> tuple[str, str]:
    role, equals, name = text.partition("=")
    if not equals or role not in ("user", "item", "time", "category"):
        raise InvalidParameter(
            f"--column {text!r} is not ROLE=NAME with ROLE one of user, item, time, category"
        )
    return role, name


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidParameter(f"{question} Nobody can answer here; --yes says so beforehand.")
    if input(f"{question} Type yes to go on: ").strip().lower() != "yes":
        raise InvalidParameter("nothing was deleted")


def _progress(line: str) -> None:
    print(f"  {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
