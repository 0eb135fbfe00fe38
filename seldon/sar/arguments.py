"""The command line of `python -m seldon.sar`: its sub-commands and their options."""

from __future__ import annotations

import argparse

COMMANDS = {
    "train": "train a model from usage events and write it to a folder",
    "evaluate": "say how good a model is, on events it has not seen",
    "recommend": "recommend items to a user, or to somebody who took these items",
    "similar": "list the items most similar to one",
    "explain": "show what a recommendation is made of",
    "promote": "make a model the current version of a home that servers follow",
    "rollback": "go back to the version before the current one",
    "estimate": "say what training would cost in memory and work, without training",
}

_EXAMPLES = """\
a first model, from a file of user,item,time lines:

  python -m seldon.sar train --usage usage.csv --output candidate
  python -m seldon.sar similar --model candidate --item I17 --count 5
  python -m seldon.sar recommend --model candidate --user U42 --count 5

is it good, and is it better than what is served?

  python -m seldon.sar evaluate --usage usage.csv --split chronological --report report.html
  python -m seldon.sar promote --model candidate --to live --evaluation newest.csv
  python -m seldon.sar rollback --model live
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="python -m seldon.sar",
        description="Recommendations from usage events: items that users had in common are "
        "similar (SAR). Exact, explainable, no training loop.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands = {
        name: sub.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
        for name, line in COMMANDS.items()
    }
    _train(commands["train"])
    _evaluate(commands["evaluate"])
    _recommend(commands["recommend"])
    _similar(commands["similar"])
    _explain(commands["explain"])
    _promote(commands["promote"])
    _rollback(commands["rollback"])
    _estimate(commands["estimate"])
    for command in commands.values():
        command.add_argument(
            "--json", action="store_true", help="print one JSON document, for programs"
        )
    return top


def _train(command: argparse.ArgumentParser) -> None:
    files = command.add_argument_group("what to read and write")
    _usage(files, required=False)
    files.add_argument(
        "--add", metavar="PATH", help="further usage events, such as those of the last day"
    )
    files.add_argument(
        "--counts",
        metavar="DIR",
        help="folder for what was counted. With --usage it is written; without, training goes on "
        "from it: with --add only the new events are read and counted, and the model is the "
        "same as from all events at once; another similarity or threshold follows at once",
    )
    files.add_argument(
        "--output", required=True, metavar="DIR", help="model folder to write; replaced whole"
    )
    files.add_argument(
        "--evaluation", metavar="PATH", help="held-out usage events: evaluate the model on them"
    )
    _training(command)
    group = _machine(command)
    group.add_argument(
        "--engine",
        choices=["local", "spark"],
        default="local",
        help="where to count: this machine, or Apache Spark; the model is the same",
    )
    group.add_argument(
        "--master",
        metavar="URL",
        help="of --engine spark: spark://host:7077, yarn, … (Spark's own configuration)",
    )


def _evaluate(command: argparse.ArgumentParser) -> None:
    files = command.add_argument_group(
        "what to evaluate", "either a trained model, or a split of usage events"
    )
    files.add_argument("--model", metavar="DIR", help="model folder, or a home of versions")
    files.add_argument(
        "--evaluation", metavar="PATH", help="with --model: events the model was not trained on"
    )
    _usage(
        files,
        required=False,
        more="; with --model: the events it was trained on, for users' whole histories "
        "(otherwise what the model keeps of them is used)",
    )
    files.add_argument(
        "--split",
        choices=["random", "chronological", "user-chronological", "leave-one-out", "date"],
        help="without --model: hold back part of --usage, train on the rest, evaluate on the part",
    )
    files.add_argument(
        "--share", type=float, default=0.25, metavar="S", help="part held back (0.25)"
    )
    files.add_argument(
        "--date", metavar="TIME", help="of --split date: hold back from here, 2026-05-01"
    )
    files.add_argument(
        "--against", metavar="DIR", help="another model: compare the two, user by user"
    )
    files.add_argument(
        "--k", default="5,10", metavar="K,K", help="lengths of lists for the metrics (5,10)"
    )
    files.add_argument("--report", metavar="FILE", help="write an HTML report with plots")
    files.add_argument("--seed", type=int, default=0, metavar="N", help="of all random numbers (0)")
    _training(command)
    _machine(command)


def _recommend(command: argparse.ArgumentParser) -> None:
    _model(command)
    command.add_argument("--user", metavar="ID", help="a user the model was trained on")
    _items(command)
    _count(command)


def _similar(command: argparse.ArgumentParser) -> None:
    _model(command)
    command.add_argument("--item", required=True, metavar="ID")
    _count(command)


def _explain(command: argparse.ArgumentParser) -> None:
    _model(command)
    command.add_argument("--user", metavar="ID", help="a user the model was trained on")
    _items(command)
    command.add_argument(
        "--for",
        dest="target",
        metavar="ID",
        help="the recommended item to explain; without it the first --count are explained",
    )
    _count(command, default=3)


def _promote(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model",
        required=True,
        metavar="DIR",
        help="the model folder that becomes a version of the home, or a version of it",
    )
    command.add_argument("--to", required=True, metavar="HOME", help="folder that servers follow")
    command.add_argument(
        "--evaluation",
        metavar="PATH",
        help="evaluate both models on these events now; otherwise the evaluations kept from "
        "training are compared",
    )
    command.add_argument(
        "--metric", default="ndcg@10", metavar="NAME", help="what the gate looks at (ndcg@10)"
    )
    command.add_argument(
        "--margin",
        type=float,
        default=0.02,
        metavar="SHARE",
        help="how much worse than the current model is let through (0.02: two percent)",
    )
    command.add_argument("--force", action="store_true", help="promote whatever the gate says")
    command.add_argument(
        "--keep", type=int, default=5, metavar="N", help="earlier versions to keep (5)"
    )
    _reading(command.add_argument_group("how --evaluation is read"))


def _rollback(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", required=True, metavar="HOME", help="a home of versions")


def _estimate(command: argparse.ArgumentParser) -> None:
    _usage(command.add_argument_group("what to read"), required=True)
    _training(command)
    _machine(command)


Group = argparse._ArgumentGroup | argparse.ArgumentParser


def _usage(group: Group, *, required: bool, more: str = "") -> None:
    group.add_argument(
        "--usage",
        required=required,
        metavar="PATH",
        help="usage events, a file or a folder of files, gzip or not: user,item,time lines; "
        f"tables with a header; Seldon's action JSON lines; Parquet{more}",
    )
    group.add_argument(
        "--catalog", metavar="PATH", help="id,name,category,description,feature=value… lines"
    )
    _reading(group)


def _reading(group: Group) -> None:
    group.add_argument(
        "--format",
        choices=["usage", "table", "actions", "parquet"],
        help="of the events; found out from the first file when absent",
    )
    group.add_argument(
        "--columns",
        metavar="user=A,item=B,…",
        help="columns of a table, by name or by position from 0: user, item, time, type, weight",
    )
    group.add_argument("--separator", metavar="C", help="of a table: one character")
    group.add_argument(
        "--error-limit", type=int, default=100, metavar="N", help="bad lines to accept (100)"
    )


def _training(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("how items are similar")
    group.add_argument(
        "--similarity",
        choices=["Jaccard", "Lift", "Cooccurrence"],
        default="Jaccard",
        help="Jaccard is balanced (default), Lift finds the unexpected, Cooccurrence the popular",
    )
    group.add_argument(
        "--support-threshold",
        type=int,
        default=6,
        metavar="N",
        help="baskets that must hold both items before they count as similar (6)",
    )
    group.add_argument(
        "--cooccurrence-unit",
        choices=["User", "Timestamp"],
        default="User",
        help="a basket is all a user took (default), or what a user took at one time",
    )
    group.add_argument(
        "--neighbours",
        type=int,
        metavar="N",
        help="keep only the N most similar items of each: smaller, no longer exact",
    )
    group.add_argument(
        "--cold-items", action="store_true", help="place items without usage by catalog features"
    )
    group.add_argument(
        "--cold-to-cold", action="store_true", help="also relate such items to each other"
    )
    group = command.add_argument_group("what is recommended to a user")
    group.add_argument(
        "--decay-days",
        type=float,
        metavar="N",
        help="an event N days old counts half; without it age does not matter",
    )
    group.add_argument(
        "--event-weights", action="store_true", help="weigh events by the weights in the data"
    )
    group.add_argument(
        "--no-user-history",
        action="store_true",
        help="keep no events of users in the model: smaller, but --user cannot be asked",
    )
    group.add_argument("--allow-seeds", action="store_true", help="also recommend what they have")
    group.add_argument(
        "--no-backfill", action="store_true", help="do not fill short lists with popular items"
    )


def _machine(command: argparse.ArgumentParser) -> Group:
    group = command.add_argument_group("where it runs")
    group.add_argument(
        "--memory-limit",
        metavar="SIZE",
        help="refuse to start when more would be needed: 8G, 500M (what is free now)",
    )
    return group


def _model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model", required=True, metavar="DIR", help="model folder, or a home of versions"
    )


def _items(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--item",
        action="append",
        default=[],
        metavar="ID",
        help="an item just taken; may be repeated, and combined with --user",
    )


def _count(command: argparse.ArgumentParser, default: int = 10) -> None:
    command.add_argument(
        "--count", type=int, default=default, metavar="N", help=f"how many ({default})"
    )
