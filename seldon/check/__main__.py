"""`python -m seldon.check algs/mine.py`: does an algorithm keep the contract?"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from seldon.check import check_algorithm
from seldon.config import settings
from seldon.errors import InvalidSetting
from seldon.sample import sample_interactions, write_sample


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m seldon.check`; 0 when every check passed, 1 when not, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    path = (
        options.algorithm if options.algorithm.suffix else Path("algs", f"{options.algorithm}.py")
    )
    try:
        values, _ = settings(_config(options.config))
    except (InvalidSetting, OSError) as error:
        print(f"seldon.check: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        _complete(values, Path(folder))
        findings = []
        for finding in check_algorithm(path, values, options.timeout):
            findings.append(finding)
            if not options.json:
                _print(finding.status, finding.check, finding.reason)
    failed = sum(finding.status == "fail" for finding in findings)
    if options.json:
        report = {
            "algorithm": str(path),
            "passed": not failed,
            "checks": [asdict(finding) for finding in findings],
        }
        print(json.dumps(report, indent=1))
    else:
        print(f"{path}: {f'{failed} of {len(findings)} checks failed' if failed else 'passed'}")
    return 1 if failed else 0


def _config(path: Path | None) -> ModuleType | None:
    """The settings file: the one named, else ``recommender_config.py`` here if there is one."""
    file = path or Path("recommender_config.py")
    if path is None and not file.is_file():
        return None
    spec = importlib.util.spec_from_file_location("recommender_config", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise InvalidSetting(f"--config={str(file)!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _complete(values: dict[str, Any], folder: Path) -> None:
    """Give what a check needs and a fresh checkout lacks: a seed, and interactions."""
    if values["RANDOM_SEED"] is None:
        values["RANDOM_SEED"] = 0
    if not values["INTERACTIONS"]:
        write_sample(sample_interactions(500, 1000, 20_000, np.random.default_rng(0)), folder)
        values["INTERACTIONS"] = os.fspath(folder / "interactions.csv")


def _print(status: str, check: str, reason: str) -> None:
    color = {"pass": "32", "fail": "31", "skip": "33"}[status]
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ
    word = status if plain else f"\x1b[{color}m{status}\x1b[0m"
    print(f"{word}  {check:<16}  {reason}".rstrip(), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seldon.check",
        description="Check an algorithm: its contract, its answers, its speed, and how it behaves "
        "in threads and forked workers. Nothing needs to run for it, unless the algorithm itself "
        "asks for it. Without INTERACTIONS in the settings it gets sample interactions.",
        epilog="exit status: 0 all passed, 1 something failed, 2 wrong usage",
    )
    parser.add_argument("algorithm", type=Path, help="algs/mine.py, or just mine")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings for its init; default: recommender_config.py here, and SELDON_ variables",
    )
    parser.add_argument(
        "--timeout", type=float, default=60, metavar="SECONDS", help="for one check; %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="a report for programs")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
