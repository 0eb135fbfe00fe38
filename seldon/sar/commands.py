"""`train`, `estimate`, `recommend`, `similar`, `explain` of `python -m seldon.sar`."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from seldon.base import save_recommender
from seldon.errors import InvalidParameter, SeldonError
from seldon.folders import MANIFEST, check_place
from seldon.interactions import Interactions, Vocabulary
from seldon.memory import available_memory, gigabytes
from seldon.reading import ParsingReport
from seldon.reading.report import merged
from seldon.sar.counted import Counted, joined
from seldon.sar.counting import ByPopularity, baskets
from seldon.sar.estimate import estimate
from seldon.sar.inputs import catalog_of, memory_of, parameters_of, read_events, reading_of
from seldon.sar.judgement import histories, judged, kept, sar_model
from seldon.sar.model import SARRecommender
from seldon.sar.parameters import TrainingParameters
from seldon.sar.spark import session, train_on_spark
from seldon.sar.terminal import ProgressBar, note, print_json, stage_bars, table
from seldon.sar.training import TrainingStatistics, train
from seldon.versions import VERSIONS

# --- train ---------------------------------------------------------------------------------------


def train_command(options: Namespace) -> None:
    parameters = parameters_of(options)
    _check_train(options)
    trained = _on_spark if options.engine == "spark" else _here
    model, statistics, source = trained(options, parameters)
    events = source.events if isinstance(source, Counted) else source
    metadata: dict[str, Any] = {
        "trained": datetime.now(UTC).isoformat(timespec="seconds"),
        "usage": _told(statistics.usage_parsing),
        "catalog": _told(statistics.catalog_parsing),
    }
    if events is not None and options.evaluation is not None:
        test, _ = read_events(options.evaluation, options, "Reading test")
        _, found = judged(model, events, test, (5, 10), np.random.default_rng(0), options.json)
        metadata["evaluation"] = kept(found, test)
    try:
        save_recommender(model, options.output, metadata)
    except OSError as error:
        raise _unwritable("--output", options.output, error) from error
    # After the model: a run that fails and is repeated must not count a day twice.
    if isinstance(source, Counted) and (options.usage or options.add):
        try:
            source.save(options.counts)
        except OSError as error:
            raise _unwritable("--counts", options.counts, error) from error
    summary = {
        "model": options.output,
        "events": statistics.events,
        "users": statistics.users,
        "items": statistics.usage_items,
        "similarities": len(model.similarity.columns),
        "bytes": sum(file.stat().st_size for file in Path(options.output).iterdir()),
        "seconds": {stage: round(s, 3) for stage, s in statistics.durations.items()},
    }
    if options.json:
        print_json({**summary, "parameters": parameters.to_dict(), **metadata})
        return
    seconds = {f"seconds {stage}": s for stage, s in statistics.durations.items()}
    summary.pop("seconds")
    print(table({**summary, **seconds, **metadata.get("evaluation", {}).get("values", {})}))


def _here(
    options: Namespace, parameters: TrainingParameters
) -> tuple[SARRecommender, TrainingStatistics, Interactions | Counted]:
    catalog = catalog_of(options)
    listed, catalog_report = catalog or (None, None)
    filtering = parameters.enable_cold_item_placement and listed is not None
    # Counts are kept of all items, so that a later catalog can list others.
    known = listed.items if filtering and listed is not None and not options.counts else None
    reports, source = _source(options, parameters, known)
    with stage_bars(shown=False if options.json else None) as told:
        model, statistics = train(source, listed, parameters, told, memory=memory_of(options))
    report = merged(reports, None) if reports else None
    # Files were read before `train` was called, which only looked at what was read.
    read = {"Parsing usage events": sum(report.duration for report in reports)}
    if catalog_report is not None:
        read["Parsing catalog"] = catalog_report.duration
    statistics = replace(
        statistics,
        usage_parsing=report,
        catalog_parsing=catalog_report,
        durations=statistics.durations | read,
    )
    return model, statistics, source


def _source(
    options: Namespace, parameters: TrainingParameters, known: Vocabulary | None
) -> tuple[list[ParsingReport], Interactions | Counted]:
    """The events to train on, counted already when counts are kept."""
    if options.usage is None and options.counts is None:
        raise InvalidParameter("nothing to train on: give --usage, or --counts of an earlier run")
    if options.add is not None and (Path(options.add) / MANIFEST).exists():
        raise InvalidParameter(
            f"--add {options.add} is a model folder; it takes usage events: to add them to what "
            "was counted before, name that folder with --counts"
        )
    reports: list[ParsingReport] = []

    def read(path: str) -> Interactions:
        events, report = read_events(path, options, "Reading", known)
        reports.append(report)
        return events

    if options.usage is None:
        counted = Counted.load(options.counts)
        counted.check_unit(parameters.cooccurrence_unit)
        return reports, counted.add(read(options.add)) if options.add else counted
    events = read(options.usage)
    if options.add:
        events = joined(events, read(options.add))[0]
    if options.counts is None:
        return reports, events
    with ProgressBar("Counting all pairs", shown=False if options.json else None) as bar:
        memory = memory_of(options) or available_memory()
        unit = parameters.cooccurrence_unit
        return reports, Counted.of(events, unit, memory=memory, told=bar.reach)


def _on_spark(
    options: Namespace, parameters: TrainingParameters
) -> tuple[SARRecommender, TrainingStatistics, Interactions | None]:
    listed, catalog_report = catalog_of(options) or (None, None)
    usage = [path for path in (options.usage, options.add) if path]
    spark = session(options.master)
    try:
        with stage_bars(shown=False if options.json else None) as told:
            model, statistics = train_on_spark(
                spark, usage, parameters, listed, reading=reading_of(options), told=told
            )
    finally:
        spark.stop()
    statistics = replace(statistics, catalog_parsing=catalog_report)
    if statistics.usage_parsing is not None and statistics.usage_parsing.errors:
        note(f"{', '.join(usage)}: {statistics.usage_parsing}")
    # Whole histories are spread over the workers: an evaluation takes what the model keeps.
    return model, statistics, histories(model) if options.evaluation is not None else None


def _check_train(options: Namespace) -> None:
    """Refuse at once what could only fail after the work is done."""
    if (Path(options.output) / VERSIONS).is_dir():
        raise InvalidParameter(
            f"--output {options.output} is a home of versions; train into another folder, then: "
            f"promote --model FOLDER --to {options.output}"
        )
    for name, place in (("--output", options.output), ("--counts", options.counts)):
        try:
            if place is not None:
                check_place(place)
        except OSError as error:
            raise _unwritable(name, place, error) from error
    if options.engine == "local":
        if options.master is not None:
            raise InvalidParameter(f"--master {options.master} is of --engine spark")
        return
    if options.counts is not None or options.usage is None:
        raise InvalidParameter(
            "--engine spark trains from --usage, and --add, alone: --counts keeps all events on "
            "one machine, so it needs --engine local"
        )
    if options.evaluation is not None and options.no_user_history:
        raise InvalidParameter(
            "--engine spark evaluates with the histories that the model keeps: leave out "
            "--no-user-history, or evaluate later with: evaluate --model --usage --evaluation"
        )


def _unwritable(option: str, place: str, error: OSError) -> SeldonError:
    return SeldonError(
        f"{option} {place} cannot be written: {error}; "
        "is there room on the disk, and may you write there?"
    )


def _told(report: ParsingReport | None) -> dict[str, Any] | None:
    """A parsing report as kept in the manifest."""
    if report is None:
        return None
    return {
        "lines": report.total_lines,
        "accepted": report.successful_lines,
        "errors": {
            error.error: {"count": error.count, "first": f"{e.file}:{e.line}"}
            for error in report.errors
            for e in error.samples[:1]
        },
    }


def estimate_command(options: Namespace) -> None:
    parameters = parameters_of(options)
    events, _ = read_events(options.usage, options, "Reading")
    prepared = ByPopularity(baskets(events, parameters.cooccurrence_unit))
    found = estimate(prepared, parameters, memory=memory_of(options))
    answer = {
        "events": len(events),
        "users": len(events.users),
        **asdict(found),
        "fits": found.fits,
    }
    if options.json:
        print_json(answer)
        return
    answer |= {"memory": gigabytes(found.memory), "available": gigabytes(found.available)}
    print(table({name.replace("_", " "): value for name, value in answer.items()}))


# --- ask a model ---------------------------------------------------------------------------------


def recommend_command(options: Namespace) -> None:
    model = sar_model(options.model)
    _check_asked(model, options)
    _print_scored(model.recommend_items(options.item, options.user, options.count), options)


def similar_command(options: Namespace) -> None:
    model = sar_model(options.model)
    _note_unknown(model, [options.item])
    _print_scored(model.similar_items(options.item, options.count), options)


def explain_command(options: Namespace) -> None:
    model = sar_model(options.model)
    _check_asked(model, options)
    if options.target is not None:
        targets = [options.target]
        _note_unknown(model, targets)
    else:
        listed = model.recommend_items(options.item, options.user, options.count)
        targets = [item for item, _ in listed]
    explained = []
    for target in targets:
        parts = model.explain(target, options.item, options.user)
        explained.append(
            {
                "item": target,
                "score": sum((part.score for part in parts), 0.0),
                "because": [
                    {
                        "item": part.item,
                        "score": part.score,
                        "affinity": part.affinity,
                        "similarity": part.similarity,
                        "time": datetime.fromtimestamp(part.time, UTC).isoformat(),
                        "stored": part.from_history,
                    }
                    for part in parts
                ],
            }
        )
    if options.json:
        print_json(explained)
        return
    for each in explained:
        print(f"{each['item']}: {each['score']:.6g}")
        rows = [
            (p["item"], p["score"], p["affinity"], p["similarity"], p["time"])
            for p in each["because"]
        ]
        head = ("because of", "adds", "affinity", "similarity", "taken")
        print(table(rows, head) if rows else "nothing they took is similar: a popular item")
        print()


def _check_asked(model: SARRecommender, options: Namespace) -> None:
    if options.user is None and not options.item:
        raise InvalidParameter("for whom? give --user ID, or --item ID for what they just took")
    if options.user is not None and model.history is None:
        raise InvalidParameter(
            f"{options.model} keeps no histories, so it cannot be asked for --user; "
            "train it without --no-user-history, or give --item"
        )
    if (
        options.user is not None
        and model.history is not None
        and not model.history.of(options.user)
    ):
        note(f"user {options.user!r} is not in the model")
    _note_unknown(model, options.item)


def _note_unknown(model: SARRecommender, items: Sequence[str]) -> None:
    for item, row in zip(items, model.items.indices(list(items)), strict=True):
        if row < 0:
            note(f"item {item!r} is not in the model")


def _print_scored(scored: Sequence[tuple[str, float]], options: Namespace) -> None:
    if options.json:
        print_json([{"item": item, "score": score} for item, score in scored])
    elif scored:
        print(table(scored, ("item", "score")))
    else:
        note("nothing to recommend")
