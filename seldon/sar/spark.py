"""SAR counted on Apache Spark: the same files in, the same numbers out.

Baskets of different users have nothing to do with each other. So events are dealt out by user,
each share is counted by the very code that counts on one machine, and the counts are added up.
All sums are of whole numbers, hence exact, whatever the number of workers.

Blocks of arrays travel, not rows: a block is what one worker has read of one file.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seldon.errors import InvalidData, MissingExtra, SeldonError
from seldon.interactions import Interactions, Vocabulary
from seldon.reading import Catalog, ParsingReport
from seldon.reading.files import ERROR_LIMIT, format_of, input_files
from seldon.reading.report import merged
from seldon.sar import spark_workers
from seldon.sar.counting import PairCounts
from seldon.sar.ids import as_integers, numbered
from seldon.sar.model import SARRecommender
from seldon.sar.neighbours import item_similarity
from seldon.sar.parameters import TrainingParameters
from seldon.sar.spark_workers import Array, File, Reading
from seldon.sar.training import (
    USAGE_FAILED,
    NothingToTrain,
    Stages,
    TrainingStatistics,
    finished,
)


def session(master: str | None = None, settings: Mapping[str, str] | None = None) -> Any:
    """A Spark session, or the one there is already.

    Parameters
    ----------
    master : str, optional
        ``spark://host:7077``, ``yarn``, ``local-cluster[2,1,1024]``; without it Spark's own
        configuration decides.
    settings : mapping, optional
        Further ``spark.*`` settings.

    Raises
    ------
    MissingExtra
        pyspark is not installed.
    SeldonError
        Spark does not start: no Java, or no such master.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise MissingExtra("pyspark", "spark") from None
    # Workers on this machine use this interpreter; elsewhere PYSPARK_PYTHON or
    # spark.pyspark.python name the one that has the package installed.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    root = str(Path(__file__).parents[2])
    builder = SparkSession.builder.appName("seldon.sar").config(
        "spark.executorEnv.PYTHONPATH", root
    )
    if master is not None:
        builder = builder.master(master)
    for name, value in (settings or {}).items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except _spark_errors() as error:
        raise SeldonError(
            f"Apache Spark does not start (master {master or 'of its own configuration'}): "
            f"{_plain(error)}; is there a Java runtime, and such a master?"
        ) from None


def train_on_spark(
    spark: Any,
    usage: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    parameters: TrainingParameters,
    catalog: Catalog | None = None,
    *,
    reading: Reading | None = None,
    partitions: int | None = None,
    told: Callable[[str, float], None] | None = None,
) -> tuple[SARRecommender, TrainingStatistics]:
    """Train the model that `seldon.sar.training.train` would, on Spark's workers.

    Parameters
    ----------
    spark : SparkSession
    usage : path or sequence of paths
        Files or folders of files that every worker can read under these names, read one after
        the other. One task reads one file, so that many files are read by many workers.
    parameters : TrainingParameters
    catalog : Catalog, optional
        As for `seldon.sar.training.train`.
    reading : mapping, optional
        How `seldon.reading.read_interactions` shall read them.
    partitions : int, optional
        Shares of users; otherwise two for each of Spark's slots. More shares need less memory
        each.
    told : callable, optional
        Told the name of the stage and the share done.

    Raises
    ------
    InvalidData
        There is no such file.
    NothingToTrain
        Too many bad lines over all files of a path, or nothing was accepted.
    """
    stages = Stages(told)
    shares = partitions or 2 * spark.sparkContext.defaultParallelism
    paths = [usage] if isinstance(usage, str | os.PathLike) else list(usage)
    files = _files(paths, {"now": time.time(), **(reading or {})})
    try:
        return _train(spark.sparkContext, files, parameters, catalog, shares, stages)
    except _spark_errors() as error:
        raise _plain(error) from None


def _files(paths: Sequence[str | os.PathLike[str]], reading: Reading) -> list[File]:
    """All files in order; of each path the first file tells the format, as it does locally."""
    found: list[File] = []
    for path, location in enumerate(paths):
        files = input_files(location)
        told = reading.get("format") or format_of(
            files[0], reading.get("columns"), reading.get("separator")
        )
        for file in files:
            found.append(File(len(found), path, str(file), {**reading, "format": told}))
    return found


def _train(
    context: Any,
    files: Sequence[File],
    parameters: TrainingParameters,
    catalog: Catalog | None,
    shares: int,
    stages: Stages,
) -> tuple[SARRecommender, TrainingStatistics]:
    statistics = TrainingStatistics(durations=stages.durations)
    placing = catalog if parameters.enable_cold_item_placement else None
    with stages("Parsing usage events"):
        listed = context.broadcast(None if placing is None else placing.items)
        blocks = context.parallelize(list(files), len(files)).map(
            partial(spark_workers.read_file, known=listed)
        )
        blocks = blocks.persist()
        seen = blocks.map(spark_workers.seen).collect()
        report = _report(files, [report for report, _ in seen], statistics)
    used = Vocabulary(np.concatenate([ids for _, ids in seen]))
    items = used if placing is None else Vocabulary(np.concatenate([used.ids, placing.items.ids]))
    items = as_integers(items) or items
    with stages("Dealing out users"):
        known = context.broadcast(items.ids)
        dealt = blocks.flatMap(partial(spark_workers.by_user, known=known, shares=shares))
        dealt = dealt.partitionBy(shares, int).mapPartitions(
            partial(spark_workers.gathered, known=known)
        )
        dealt = dealt.persist()
        kept = dealt.map(partial(spark_workers.summary, parameters=parameters)).collect()
        blocks.unpersist()
    with stages("Counting pairs"):
        occurrences = np.sum([part.occurrences for part in kept], axis=0)
        cuts = _cuts(occurrences, shares)
        counted = dealt.flatMap(partial(spark_workers.pairs_of, cuts=cuts, parameters=parameters))
        counted = counted.partitionBy(len(cuts) - 1, int)
        summed = counted.mapPartitions(
            partial(spark_workers.summed, threshold=parameters.support_threshold)
        )
        counts = _joined(summed.collect(), occurrences, cuts)
        dealt.unpersist()
    with stages("Similarity"):
        similarity = item_similarity(
            counts,
            parameters.similarity_function,
            parameters.support_threshold,
            parameters.neighbours,
        )
    events = _latest([part.latest for part in kept], items)
    model = finished(events, occurrences, similarity, placing, parameters, stages)
    return model, replace(
        statistics,
        usage_parsing=report,
        catalog_items=None if catalog is None else len(catalog),
        usage_items=len(used),
        users=len(events.users),
        events=sum(part.events for part in kept),
        catalog_coverage=len(used) / len(catalog) if catalog else None,
        feature_weights=model.feature_weights,
    )


def _report(
    files: Sequence[File], reports: Sequence[ParsingReport], statistics: TrainingStatistics
) -> ParsingReport:
    """What was read of all paths, each of which must be usable."""
    found = []
    for path in range(files[-1].path + 1):
        limit = files[0].reading.get("error_limit", ERROR_LIMIT)
        of_path = [report for file, report in zip(files, reports, strict=True) if file.path == path]
        found.append(merged(of_path, limit))
        if not found[-1].usable:
            raise NothingToTrain(USAGE_FAILED, replace(statistics, usage_parsing=found[-1]))
    return merged(found, None)


def _cuts(occurrences: Array, stretches: int) -> list[int]:
    """Item numbers that part the items into stretches seen about equally often."""
    seen = np.cumsum(occurrences + 1)
    wanted = np.linspace(0, seen[-1], stretches + 1)[1:-1]
    inner = np.unique(np.searchsorted(seen, wanted)).tolist()
    return [0, *(cut for cut in inner if 0 < cut < len(seen)), len(seen)]


def _joined(
    parts: Sequence[tuple[int, Array, Array]], occurrences: Array, cuts: Sequence[int]
) -> PairCounts:
    ordered = sorted(parts, key=lambda part: part[0])
    pair = np.concatenate([np.empty(0, np.int64), *(pairs for _, pairs, _ in ordered)])
    count = np.concatenate([np.empty(0, np.int32), *(counts for _, _, counts in ordered)])
    sizes = np.bincount(pair >> 32, minlength=len(occurrences))
    return PairCounts(
        occurrences,
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        (pair & 0xFFFFFFFF).astype(np.int32),
        count.astype(np.int32),
    )


def _latest(parts: Sequence[Interactions], items: Vocabulary) -> Interactions:
    """The latest events of all users; no user is in two parts."""
    users = Vocabulary(np.concatenate([part.users.ids for part in parts]))
    user = np.concatenate([users.indices(part.users.ids)[part.user] for part in parts])
    joined = Interactions(
        users,
        items,
        user.astype(np.int32),
        np.concatenate([part.item for part in parts]),
        np.concatenate([part.time for part in parts]),
        np.concatenate([part.weight for part in parts]),
    )
    return numbered(joined)


def _spark_errors() -> tuple[type[Exception], ...]:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return Py4JError, PySparkException


def _plain(error: Exception) -> SeldonError:
    """A failure on a worker, in the words of the error that was raised there."""
    lines = [line.strip() for line in str(error).splitlines()]
    for line in lines:
        name, _, message = line.partition(": ")
        if name.startswith("seldon.errors.") and message:
            return InvalidData(message)
    causes = [line for line in lines if line.startswith("Caused by:") or "Error: " in line]
    return SeldonError(f"Spark: {causes[-1] if causes else lines[0]}")
