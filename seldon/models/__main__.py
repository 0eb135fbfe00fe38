"""The command; `python -m seldon.models --help`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from seldon.config import settings_of_this_deployment
from seldon.errors import SeldonError
from seldon.models.local import LocalModels
from seldon.models.remote import RemoteModels
from seldon.models_api.schemas import EventType, TrainingRequest, wire_name

KEY = "MODELS_API_KEY"
EXAMPLES = f"""\
examples:
  python -m seldon.models upload usage.csv --container shop --to 2026/usage.csv
  python -m seldon.models train --container shop --usage 2026 --supportThreshold 3
  python -m seldon.models recommend default --item DHF-01080
  python -m seldon.models recommend default --event DHF-01080:Purchase --event DQF-00248
  {KEY}=… python -m seldon.models --url https://models.example.com list

Without --url it works on the folders and the database of recommender_config.py and of SELDON_
variables (MODELS_ROOT, MODELS_INPUT_ROOT, MODELS_DATABASE), and needs no service.
"""
_SHORT = {
    "blobContainerName": "--container",
    "usageRelativePath": "--usage",
    "catalogFileRelativePath": "--catalog",
    "evaluationUsageRelativePath": "--evaluation",
}
_STAGES = (
    "Downloading",
    "Parsing Catalog",
    "Parsing Usage",
    "Parsing Evaluation",
    "Core Training",
    "Storing User History",
    "Evaluating",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 1 when it could not be done."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.url:
            models: LocalModels | RemoteModels = RemoteModels(arguments.url, _key(arguments))
        else:
            models = LocalModels(settings_of_this_deployment())
        try:
            return int(arguments.run(models, arguments) or 0)
        finally:
            models.close()
    except SeldonError as error:
        messages = [str(error), *_nested(getattr(error, "model_state", {}))]
        print("\n".join(messages), file=sys.stderr)
    except (OSError, KeyboardInterrupt) as error:
        print(error or "interrupted", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seldon.models",
        description="Train models on usage files and ask them, in a folder or over HTTP.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", help="a service with the models API, instead of this machine")
    parser.add_argument("--key-file", type=Path, help=f"file with its key; or the variable {KEY}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("upload", help="bring usage or catalog files to the inputs")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    command.add_argument("--container", required=True, help="a folder of the inputs")
    command.add_argument("--to", default="", help="path in it; a folder, if it ends with /")
    command.set_defaults(run=_upload)

    command = commands.add_parser("train", help="train a model")
    for field in fields(TrainingRequest):
        name = wire_name(field.name)
        command.add_argument(
            _SHORT.get(name, f"--{name}"),
            dest=name,
            required=field.default is MISSING,
            metavar="VALUE",
            help=None if field.default in (MISSING, None) else f"default {_shown(field.default)}",
        )
    command.add_argument("--no-wait", action="store_true", help="do not wait until it is trained")
    command.set_defaults(run=_train)

    command = commands.add_parser("list", help="all models")
    command.set_defaults(run=_list)
    for name, run, text in (
        ("show", _show, "a model with its parameters, reports and evaluation, as JSON"),
        ("default", _default, "make a model the default one"),
        ("delete", _delete, "delete a model, and stop its training"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("model", help="its id" + (" or 'default'" if name == "show" else ""))
        command.set_defaults(run=run)

    command = commands.add_parser("recommend", help="ask a model")
    command.add_argument("model", help="its id or 'default'")
    command.add_argument("--item", help="recommend for this item")
    types = ", ".join(kind.name for kind in EventType)
    command.add_argument(
        "--event",
        action="append",
        default=[],
        metavar="ITEM[:TYPE]",
        help=f"recommend for somebody who did this; TYPE is one of {types}",
    )
    command.add_argument("--user", help="add the history that the model kept of this user")
    command.add_argument("-n", "--count", type=int, default=10)
    command.set_defaults(run=_recommend)
    return parser


def _upload(models: LocalModels | RemoteModels, arguments: argparse.Namespace) -> None:
    target: str = arguments.to
    for file in arguments.files:
        into_folder = len(arguments.files) > 1 or not target or target.endswith("/")
        path = f"{target.rstrip('/')}/{file.name}".lstrip("/") if into_folder else target
        bar = _Bar(f"{arguments.container}/{path}", file.stat().st_size)
        models.upload(file, arguments.container, path, bar.add)
        bar.end()


def _train(models: LocalModels | RemoteModels, arguments: argparse.Namespace) -> int:
    model = models.train(_parameters(arguments))
    print(model["id"], flush=True)
    if arguments.no_wait:
        return 0
    bar = _Bar("Waiting", 100)
    while model["modelStatus"] in ("Created", "InProgress"):
        message = model.get("modelStatusMessage", "Waiting")
        bar.show(message, _share(message))
        time.sleep(0.3)
        model = models.show(model["id"])
    bar.show(model["modelStatusMessage"].splitlines()[0], 100)
    bar.end()
    for line in _report_lines(model.get("statistics", {})):
        print(line)
    return 0 if model["modelStatus"] == "Completed" else 1


def _list(models: LocalModels | RemoteModels, _: argparse.Namespace) -> None:
    rows = models.list()
    waiting = sorted(
        (model for model in rows if model["modelStatus"] in ("Created", "InProgress")),
        key=lambda model: model["creationTime"],
    )
    for model in rows:
        place = f" ({waiting.index(model) + 1} of {len(waiting)})" if model in waiting else ""
        status = model["modelStatus"] + place
        print(f"{model['id']}  {model['creationTime'][:19]}  {status:12}", end="  ")
        print(model.get("description", ""))


def _show(models: LocalModels | RemoteModels, arguments: argparse.Namespace) -> None:
    print(json.dumps(models.show(arguments.model), indent=2, ensure_ascii=False))


def _default(models: LocalModels | RemoteModels, arguments: argparse.Namespace) -> None:
    models.set_default(arguments.model)


def _delete(models: LocalModels | RemoteModels, arguments: argparse.Namespace) -> None:
    models.delete(arguments.model)


def _recommend(models: LocalModels | RemoteModels, arguments: argparse.Namespace) -> None:
    events = [_event(text) for text in arguments.event]
    for found in models.recommend(
        arguments.model, arguments.item, events, arguments.user, arguments.count
    ):
        print(f"{found['score']:<12.6g} {found['recommendedItemId']}")


def _event(text: str) -> dict[str, Any]:
    """``ITEM[:TYPE]``; a colon before anything else belongs to the item."""
    item, _, kind = text.rpartition(":")
    if item and kind.lower() in {known.name.lower() for known in EventType}:
        return {"itemId": item, "eventType": kind}
    return {"itemId": text}


def _parameters(arguments: argparse.Namespace) -> dict[str, Any]:
    """The request; numbers and truth values become JSON's where such are expected."""
    parameters = {}
    for field in fields(TrainingRequest):
        name = wire_name(field.name)
        text = vars(arguments)[name]
        if isinstance(field.default, int) and text is not None and text.lstrip("-").isdigit():
            text = int(text)
        parameters[name] = text
    return {name: value for name, value in parameters.items() if value is not None}


def _shown(default: Any) -> str:
    return str(getattr(default, "name", default)).replace("True", "true").replace("False", "false")


def _key(arguments: argparse.Namespace) -> str:
    if arguments.key_file:
        return str(arguments.key_file.read_text(encoding="utf-8").strip())
    key = os.environ.get(KEY)
    if not key:
        raise SeldonError(f"--url needs a key: set the variable {KEY} or give --key-file")
    return key


def _nested(model_state: dict[str, list[str]]) -> list[str]:
    return [f"  {message}" for messages in model_state.values() for message in messages]


def _share(message: str) -> float:
    """How far a training is, in percent, by what it says."""
    for number, stage in enumerate(_STAGES):
        if message.startswith(stage):
            within = message.rpartition(":")[2].strip(" %")
            part = float(within) / 100 if within.isdigit() else 0.0
            return 100 * (number + part) / len(_STAGES)
    return 0.0


def _report_lines(statistics: dict[str, Any]) -> list[str]:
    """The parsing reports, for people."""
    lines = []
    for name in ("usageEventsParsing", "catalogParsing"):
        if name in statistics:
            report = statistics[name]
            read, total = report["successfulLinesCount"], report["totalLinesCount"]
            lines.append(f"{name}: {read:,} of {total:,} lines")
            for error in report.get("errors", []):
                sample = error["sample"]
                where = f"{sample['file']}:{sample['line']}"
                lines.append(f"  {error['error']} x {error['count']:,}, first {where}")
    return lines


class _Bar:
    """A progress bar on a terminal; nothing elsewhere."""

    WIDTH = 30

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = max(total, 1)
        self._done = 0
        self._visible = sys.stderr.isatty()
        self.show(what, 0)

    def add(self, done: int) -> None:
        self._done += done
        self.show(self._what, 100 * self._done / self._total)

    def show(self, what: str, percent: float) -> None:
        if self._visible:
            full = int(self.WIDTH * min(percent, 100) / 100)
            bar = "#" * full + "." * (self.WIDTH - full)
            print(f"\r\x1b[K[{bar}] {percent:3.0f} % {what[:60]}", end="", file=sys.stderr)

    def end(self) -> None:
        if self._visible:
            print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
