"""`evaluate` of `python -m seldon.sar`: how good a model is, and whether better than another."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from seldon import splits
from seldon.base import load_recommender
from seldon.errors import InvalidModel, InvalidParameter
from seldon.interactions import Interactions
from seldon.metrics import Comparison
from seldon.sar.evaluation import (
    API_LIST,
    Evaluation,
    Trial,
    evaluate,
    paired,
    recommending,
    try_out,
)
from seldon.sar.history import as_interactions
from seldon.sar.inputs import catalog_of, fingerprint, memory_of, parameters_of, read_events
from seldon.sar.model import SARRecommender
from seldon.sar.report import Compared, report
from seldon.sar.terminal import ProgressBar, note, print_json, stage_bars, table
from seldon.sar.training import train

Rng = np.random.Generator


def sar_model(location: str) -> SARRecommender:
    """The SAR model of a folder or of a home's current version."""
    model = load_recommender(location)
    if not isinstance(model, SARRecommender):
        raise InvalidModel(f"{location} holds a {type(model).__name__}, not a SAR model")
    return model


def evaluate_command(options: Namespace) -> None:
    ks = _lengths(options.k)
    _check_report(options.report)
    rng = np.random.default_rng(options.seed)
    if options.split is not None:
        model, known, test, facts = _split(options, rng)
    else:
        model, known, test, facts = _given(options)
    trial, found = judged(model, known, test, ks, rng, options.json)
    compared = None
    if options.against is not None:
        other = sar_model(options.against)
        rival, _ = judged(other, known, test, ks, rng, options.json)
        compared = Compared(options.against, paired(trial, rival, ks, rng))
    if options.report is not None:
        name = options.model or f"{options.usage}, split {options.split}"
        page = report(name, facts, trial, found, max(ks), rng, compared)
        Path(options.report).write_text(page, encoding="utf-8")
    _print(found, test, compared, options)


def judged(
    model: SARRecommender,
    train_events: Interactions,
    test: Interactions,
    ks: Sequence[int],
    rng: Rng,
    quiet: bool = False,
) -> tuple[Trial, Evaluation]:
    """Recommend to every user of both sets, with a progress bar, and judge the lists."""
    recommend = recommending(model, train_events)
    with ProgressBar("Recommending", shown=False if quiet else None) as bar:

        def asked(users: Any, count: int) -> Any:
            bar.total = len(users) or 1
            parts = np.array_split(users, max(1, len(users) // 200))
            lists = []
            for part in parts:
                lists.append(recommend(part, count))
                bar.advance(len(part))
            return np.concatenate(lists)

        trial = try_out(asked, train_events, test, max(*ks, API_LIST), model.items)
    return trial, evaluate(trial, ks, rng)


def kept(found: Evaluation, test: Interactions) -> dict[str, Any]:
    """What a model's manifest keeps of its evaluation; the gate reads it."""
    return {"events": fingerprint(test), "values": found.values()}


def document(found: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON values; field names of the Product Recommendations API."""
    metrics: dict[str, Any] = {}
    if found.diversity is not None:
        metrics = {
            "precision": [
                {"k": p.k, "percentage": p.percentage, "usersInTest": p.users_in_test}
                for p in found.precision
            ],
            "diversity": {
                "percentileBuckets": [
                    {"min": b.minimum, "max": b.maximum, "percentage": b.percentage}
                    for b in found.diversity.buckets
                ],
                "totalItemsRecommended": found.diversity.total_items_recommended,
                "uniqueItemsRecommended": found.diversity.unique_items_recommended,
                "uniqueItemsInTrainSet": found.diversity.unique_items_in_train_set,
            },
        }
    return {
        "usersInTest": found.users_in_test,
        "usersScored": found.users_scored,
        "api": metrics,
        "metrics": {name: asdict(interval) for name, interval in found.metrics.items()},
        "coverage": found.coverage,
    }


def _given(
    options: Namespace,
) -> tuple[SARRecommender, Interactions, Interactions, dict[str, object]]:
    if options.model is None or options.evaluation is None:
        raise InvalidParameter(
            "evaluate needs --model and --evaluation, or --usage and --split: see --help"
        )
    model = sar_model(options.model)
    test, _ = read_events(options.evaluation, options, "Reading test")
    known = read_events(options.usage, options, "Reading")[0] if options.usage else histories(model)
    facts = {"model": options.model, **_shape(known, test), **model.parameters.to_dict()}
    return model, known, test, facts


def histories(model: SARRecommender) -> Interactions:
    """What a model keeps of its users, as events."""
    if model.history is None:
        raise InvalidParameter(
            "the model keeps no user histories: give the events it was trained on with --usage"
        )
    return as_interactions(model.history, model.items)


def _split(
    options: Namespace, rng: Rng
) -> tuple[SARRecommender, Interactions, Interactions, dict[str, object]]:
    if options.usage is None or options.model is not None or options.evaluation is not None:
        raise InvalidParameter(
            "--split divides the events of --usage and trains on one part: "
            "give --usage, and neither --model nor --evaluation"
        )
    parameters = parameters_of(options)
    catalog = catalog_of(options)
    events, _ = read_events(options.usage, options, "Reading")
    known, test = splits.divided(events, _held(events, options, rng))
    listed = catalog[0] if catalog else None
    with stage_bars(shown=False if options.json else None) as told:
        model, _ = train(known, listed, parameters, told, memory=memory_of(options))
    facts: dict[str, object] = {
        "usage": options.usage,
        "split": options.split,
        "seed": options.seed,
        **_shape(known, test),
        **parameters.to_dict(),
    }
    return model, known, test, facts


def _held(events: Interactions, options: Namespace, rng: Rng) -> splits.Rows:
    if options.split == "random":
        return splits.random_split(events, rng, options.share)
    if options.split == "chronological":
        return splits.chronological_split(events, options.share)
    if options.split == "user-chronological":
        return splits.user_chronological_split(events, options.share)
    if options.split == "leave-one-out":
        return splits.leave_one_out(events, rng)
    return splits.date_split(events, _seconds(options.date))


def _seconds(date: str | None) -> float:
    try:
        moment = datetime.fromisoformat(date or "")
    except ValueError:
        raise InvalidParameter(f"--date {date!r}: expected a date such as 2026-05-01") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _lengths(text: str) -> list[int]:
    try:
        ks = sorted({int(part) for part in text.split(",")})
    except ValueError:
        ks = []
    if not ks or ks[0] < 1:
        raise InvalidParameter(f"--k {text!r}: expected whole numbers above 0, such as 5,10")
    return ks


def _check_report(file: str | None) -> None:
    """Refuse at once a report that could not be written after the evaluation."""
    if file is not None and (Path(file).is_dir() or not Path(file).parent.is_dir()):
        raise InvalidParameter(f"--report {file}: expected a file in a folder that is there")


def _shape(known: Interactions, test: Interactions) -> dict[str, object]:
    return {
        "training events": f"{len(known):,}",
        "training users": f"{len(known.users):,}",
        "training items": f"{len(known.items):,}",
        "test events": f"{len(test):,}",
    }


def _print(
    found: Evaluation, test: Interactions, compared: Compared | None, options: Namespace
) -> None:
    if options.json:
        comparison = compared and {n: asdict(c) for n, c in compared.metrics.items()}
        print_json({**document(found), "events": fingerprint(test), "against": comparison})
        return
    print(f"{found.users_scored:,} of {found.users_in_test:,} test users scored")
    if not found.users_scored:
        note("no test user has training events, so there is nothing to measure")
        return
    rows = [(n, i.mean, f"{i.low:.4f} – {i.high:.4f}") for n, i in found.metrics.items()]
    rows += [(name, value, "") for name, value in found.coverage.items()]
    print("\n" + table(rows, ("metric", "value", "95 % interval")))
    print("\nas the Product Recommendations API reports it")
    api = [(f"precision@{p.k} %", p.percentage) for p in found.precision]
    for bucket in found.diversity.buckets if found.diversity else ():
        api.append((f"popularity {bucket.minimum}–{bucket.maximum} %", bucket.percentage))
    print(table(api))
    if compared is not None:
        print(f"\ncompared with {compared.name}: above 0 is better than it")
        print(_comparison(compared.metrics))
    if options.report is not None:
        print(f"\nreport: {options.report}")


def _comparison(metrics: Mapping[str, Comparison]) -> str:
    rows = [
        (name, c.difference, f"{c.low:+.4f} to {c.high:+.4f}", round(c.p_value, 4))
        for name, c in metrics.items()
    ]
    return table(rows, ("metric", "difference", "95 % interval", "p"))
