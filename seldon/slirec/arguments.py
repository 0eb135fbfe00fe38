"""The command line of ``python -m seldon.slirec``: its steps and their options."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from seldon.slirec import commands, shop_commands
from seldon.slirec.hyperparameters import VARIANTS

_DESCRIPTION = """\
From a shop's inventory to a served SLi-Rec model. Every step reads what the steps before it
wrote into the working folder, and writes its own part:

  snapshot    inventory.json     what the shop sells
  generate    events.tsv         who viewed what when: invented, or your own
  split       dataset/           who is trained, validated and tested on what
  train       training/          checkpoints and TensorBoard summaries
  evaluate    metrics.json       beside four baselines on the same test
  package     model/, mlflow.db  for /recommend, and for MLflow
  recommend                      ask the packaged model

populate and cleanup fill a Shopify shop with the sample's products and empty it again.
SHOPIFY_STORE_URL and SHOPIFY_ACCESS_TOKEN name the shop.
"""

Step = argparse.ArgumentParser


def parser() -> argparse.ArgumentParser:
    """The whole command line; ``run`` of what it parses is the step's function."""
    top = argparse.ArgumentParser(
        prog="python -m seldon.slirec",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    steps = top.add_subparsers(dest="step", metavar="STEP", required=True)

    def step(name: str, run: Callable[[argparse.Namespace], None]) -> Step:
        made = steps.add_parser(name, help=run.__doc__, description=run.__doc__)
        made.set_defaults(run=run)
        return made

    _snapshot(step("snapshot", shop_commands.snapshot_command))
    _populate(step("populate", shop_commands.populate_command))
    _cleanup(step("cleanup", shop_commands.cleanup_command))
    _generate(step("generate", commands.generate_command))
    _split(step("split", commands.split_command))
    _train(step("train", commands.train_command))
    _evaluate(step("evaluate", commands.evaluate_command))
    _package(step("package", commands.package_command))
    _recommend(step("recommend", commands.recommend_command))
    return top


def _snapshot(step: Step) -> None:
    _folder(step)
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
    _api_version(step)


def _populate(step: Step) -> None:
    _api_version(step)
    _inventory(step)
    step.add_argument("--channel", default="Online Store", help="publish there (%(default)s)")
    step.add_argument("--no-publish", action="store_true", help="publish nowhere")


def _cleanup(step: Step) -> None:
    _api_version(step)
    _inventory(step)
    step.add_argument("--everything", action="store_true", help="ALL products and collections")
    step.add_argument("--yes", action="store_true", help="do not ask")


def _generate(step: Step) -> None:
    _folder(step)
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


def _split(step: Step) -> None:
    _folder(step)
    step.add_argument("--seed", type=int, default=42, help="of the negatives (%(default)s)")
    step.add_argument(
        "--order",
        choices=("file", "time"),
        default="file",
        help="what comes before what inside a user (%(default)s)",
    )
    step.add_argument("--valid-negatives", type=int, default=4, metavar="N", help="(%(default)s)")
    step.add_argument("--test-negatives", type=int, default=9, metavar="N", help="(%(default)s)")


def _train(step: Step) -> None:
    _folder(step)
    step.add_argument("--hyperparameters", metavar="FILE", help="YAML; unknown names are refused")
    step.add_argument("--epochs", type=int, help="instead of the file's")
    step.add_argument("--seed", type=int, help="instead of the file's")
    step.add_argument("--variant", choices=sorted(VARIANTS), help="instead of the file's")
    step.add_argument("--device", help="as PyTorch names it (the accelerator if there is one)")
    step.add_argument(
        "--threads",
        type=int,
        default=1,
        metavar="N",
        help="of the processor (%(default)s: the same result whatever the machine has, and no "
        "waiting for each other on busy cores; on idle ones more are faster)",
    )
    step.add_argument("--quiet", action="store_true", help="no progress bar")


def _evaluate(step: Step) -> None:
    _folder(step)
    step.add_argument(
        "--own-categories",
        action="store_true",
        help="judge candidates with the inventory's category, not the event's",
    )


def _package(step: Step) -> None:
    _folder(step)
    step.add_argument(
        "--name", default="slirec_shopify_model", help="in the registry (%(default)s)"
    )
    step.add_argument(
        "--popularity",
        type=float,
        default=1.0,
        metavar="W",
        help="weight of an item's popularity in its score: 1 ranks by what comes next, 0 by how "
        "much a history raises an item (%(default)s)",
    )
    step.add_argument("--tracking-uri", help="of MLflow (mlflow.db in the working folder)")
    step.add_argument("--no-mlflow", action="store_true", help="only the model for /recommend")


def _recommend(step: Step) -> None:
    _folder(step)
    step.add_argument("--items", default="", metavar="A,B", help="handles viewed, oldest first")
    step.add_argument("--timestamps", default="", metavar="S,T", help="when; seconds or ms")
    step.add_argument("--now", type=float, metavar="SECONDS", help="moment of the answer (now)")
    step.add_argument("--limit", type=int, default=10, help="(%(default)s)")


def _folder(step: Step) -> None:
    step.add_argument(
        "--folder",
        type=Path,
        default=Path("slirec"),
        help="working folder of all steps (%(default)s)",
    )


def _api_version(step: Step) -> None:
    step.add_argument("--api-version", metavar="YYYY-MM", help="of Shopify's Admin API")


def _inventory(step: Step) -> None:
    step.add_argument("--inventory", metavar="FILE", help="a snapshot (the sample inventory)")
