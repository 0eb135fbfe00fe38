"""`promote` and `rollback` of `python -m seldon.sar`: which version servers follow."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from seldon.errors import InvalidParameter, ModelNotFound, PromotionRefused
from seldon.folders import open_folder
from seldon.interactions import Interactions
from seldon.sar.inputs import read_events
from seldon.sar.judgement import histories, judged, sar_model
from seldon.sar.terminal import note, print_json
from seldon.versions import VERSIONS, add, current, promote, prune, refusal, resolve, rollback


def promote_command(options: Namespace) -> None:
    home, source = Path(options.to), resolve(options.model)
    _check(home, options)
    before = current(home)
    folder = open_folder(source)
    reason = None if before is None else _objection(source, home, options)
    if reason is not None and not options.force:
        raise PromotionRefused(
            f"{source} is not promoted: {reason}; --force promotes it all the same"
        )
    inside = source.resolve().parent == (home / VERSIONS).resolve()
    version = int(source.name) if inside else add(home, source)
    promote(home, version, expected=before.version if before else None)
    deleted = prune(home, options.keep)
    pointer = current(home)
    assert pointer is not None
    answer = {
        "home": str(home),
        "version": pointer.version,
        "previous": list(pointer.previous),
        "model": folder.version,
        "forced": reason,
        "deleted": deleted,
    }
    if options.json:
        print_json(answer)
    else:
        print(f"version {pointer.version} of {home} is current")
        if reason is not None:
            note(f"promoted by force: {reason}")


def _check(home: Path, options: Namespace) -> None:
    if home.exists() and not home.is_dir():
        raise InvalidParameter(f"--to {home} is a file; expected a folder that servers follow")
    if not 0 <= options.margin < math.inf:
        raise InvalidParameter(f"--margin {options.margin}: expected a share such as 0.02")
    if options.keep < 0:
        raise InvalidParameter(f"--keep {options.keep}: expected 0 or more")


def _objection(source: Path, home: Path, options: Namespace) -> str | None:
    """Why the new model should not replace the current one, measured on the same events."""
    if options.evaluation is not None:
        test, _ = read_events(options.evaluation, options, "Reading test")
        new, old = (_measured(str(model), test, options) for model in (source, home))
        return refusal(new, old, options.metric, options.margin)
    ours, theirs = (
        open_folder(model, verify=False).metadata.get("evaluation") or {}
        for model in (source, resolve(home))
    )
    if ours and theirs and ours.get("events") != theirs.get("events"):
        return (
            "it and the current model were evaluated on different events, so their figures cannot "
            "be compared; give events to evaluate both on with --evaluation"
        )
    if not theirs:
        note("the current model was never evaluated, so the gate has nothing to compare with")
    return refusal(ours.get("values"), theirs.get("values"), options.metric, options.margin)


def _measured(location: str, test: Interactions, options: Namespace) -> Mapping[str, float]:
    model = sar_model(location)
    rng = np.random.default_rng(0)
    return judged(model, histories(model), test, (5, 10), rng, options.json)[1].values()


def rollback_command(options: Namespace) -> None:
    if not (Path(options.model) / VERSIONS).is_dir():
        raise ModelNotFound(
            f"{options.model} is not a home of versions: nothing was promoted to it"
        )
    pointer = rollback(options.model)
    if options.json:
        print_json({"version": pointer.version, "previous": list(pointer.previous)})
    else:
        print(f"version {pointer.version} of {options.model} is current again")
