"""One training: files to a model folder, statistics and evaluation, in the order of the API."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from seldon import reading
from seldon.base import save_recommender
from seldon.errors import InvalidData
from seldon.interactions import Interactions, Vocabulary
from seldon.models_api.queue import Run
from seldon.models_api.requests import training_request
from seldon.models_api.schemas import (
    DiversityMetrics,
    ErrorSample,
    EvaluationMetrics,
    ModelEvaluation,
    ParsingError,
    ParsingErrorKind,
    ParsingReport,
    PercentileBucket,
    PrecisionMetric,
    TrainingRequest,
    TrainingStatistics,
)
from seldon.models_api.workplace import Workplace
from seldon.sar.evaluation import API_LIST, diversity, precision, recommending, try_out
from seldon.sar.model import SARRecommender
from seldon.sar.parameters import TrainingParameters
from seldon.sar.training import train

NO_CATALOG = "Failed to parse catalog file or parsing found no valid items"
NO_USAGE = "Failed to parse usage file(s) or parsing found no valid items"

Progress = Callable[[str], None]


class Unwanted(BaseException):
    """The model was deleted, or another trainer has it now."""


@dataclass(frozen=True)
class Outcome:
    """How a training that came to its end went.

    Attributes
    ----------
    failure : str or None
        Why there is no model; `None` when there is one.
    """

    statistics: TrainingStatistics
    failure: str | None = None


def train_model(run: Run, place: Workplace, progress: Progress) -> Outcome:
    """Train the model of `run` into its folder.

    Parameters
    ----------
    progress : callable
        Told where the training is, in the words of the API; raises `Unwanted` to end it.

    Raises
    ------
    SeldonError
        The input cannot be used; the message is for whoever asked for the training.
    """
    request = training_request(orjson.dumps(run.parameters))
    work = place.store.work_folder(run.model_id)
    progress("Downloading Training blobs")
    files = _Files(request, place, work)
    try:
        trained = _Training(request, files, progress, place.memory)
        outcome, model = trained.outcome()
    except InvalidData as error:
        raise InvalidData(str(error).replace(f"{work}/", "")) from error
    if model is not None:
        if not place.queue.is_wanted(run):
            raise Unwanted
        save_recommender(model, place.store.folder(run.model_id), {"model_id": run.model_id})
    return outcome


@cache
def warm_up() -> None:
    """Load the compiled loops of training, so that processes forked from this one have them."""
    usage = Interactions(
        Vocabulary(["user"]),
        Vocabulary(["item"]),
        np.zeros(1, np.int32),
        np.zeros(1, np.int32),
        np.zeros(1),
        np.ones(1, np.float32),
    )
    train(usage, None, TrainingParameters(support_threshold=1))


class _Files:
    """The input files of a request, staged; `None` where it names none."""

    def __init__(self, request: TrainingRequest, place: Workplace, work: Path) -> None:
        container, catalog = request.blob_container_name, request.catalog_file_relative_path
        evaluation = request.evaluation_usage_relative_path
        self.root = work
        self.usage = place.inputs.stage(container, request.usage_relative_path, work)
        self.evaluation = place.inputs.stage(container, evaluation, work) if evaluation else None
        self.catalog = None
        # Without cold item placement the reference does not look at the catalog at all: then
        # one that is missing is no mistake.
        wanted = request.enable_cold_item_placement
        if catalog and (wanted or place.inputs.is_file(container, catalog)):
            self.catalog = place.inputs.stage(container, catalog, work)


class _Training:
    """The steps, and what they have found out so far."""

    def __init__(
        self, request: TrainingRequest, files: _Files, progress: Progress, memory: int
    ) -> None:
        self._request = request
        self._files = files
        self._progress = progress
        self._memory = memory
        self._found: dict[str, Any] = {"number_of_usage_items": 0, "number_of_users": 0}
        self._catalog: reading.Catalog | None = None

    def outcome(self) -> tuple[Outcome, SARRecommender | None]:
        placing = self._request.enable_cold_item_placement
        if self._files.catalog is not None:
            report = self._read_catalog(self._files.catalog)
            if placing and not report.usable:
                return self._end(NO_CATALOG), None
        usage, report = self._read_usage(self._files.usage, "Parsing Usage Events Files")
        self._found["usage_events_parsing"] = _report(report)
        if not report.usable:
            return self._end(NO_USAGE), None
        self._count(usage)
        evaluation = None
        if self._files.evaluation is not None:
            what = "Parsing Evaluation Usage Events Files"
            evaluation = self._read_usage(self._files.evaluation, what)
        started = time.perf_counter()
        model = self._train(usage)
        self._found["training_duration"] = _seconds(time.perf_counter() - started)
        if evaluation is not None:
            self._found["evaluation"] = self._evaluate(model, usage, *evaluation)
        return self._end(None), model

    def _read_catalog(self, path: Path) -> reading.ParsingReport:
        self._progress("Parsing Catalog File")
        self._catalog, report = reading.read_catalog(path, relative_to=self._files.root)
        self._found["catalog_parsing"] = _report(report)
        self._found["number_of_catalog_items"] = len(self._catalog)
        return report

    def _read_usage(self, path: Path, what: str) -> tuple[Interactions, reading.ParsingReport]:
        self._progress(what)
        placing = self._request.enable_cold_item_placement and self._catalog is not None
        return reading.read_interactions(
            path,
            format="usage",
            known_items=self._catalog.items if placing and self._catalog else None,
            relative_to=self._files.root,
        )

    def _count(self, usage: Interactions) -> None:
        items = len(usage.items)
        self._found["number_of_usage_items"] = items
        self._found["number_of_users"] = len(usage.users)
        if self._catalog is not None and len(self._catalog):
            self._found["catalog_coverage"] = items / len(self._catalog)

    def _train(self, usage: Interactions) -> SARRecommender:
        self._progress("Core Training")

        def told(_: str, share: float) -> None:
            if 0 < share < 1:
                self._progress(f"Core Training: {100 * share:.0f} %")

        placing = self._request.enable_cold_item_placement
        model, statistics = train(
            usage,
            self._catalog if placing else None,
            _parameters(self._request),
            told,
            memory=self._memory,
        )
        if self._request.enable_user_to_item_recommendations:
            self._progress("Storing User History")
            # Beside the history there is next to nothing in this stage.
            seconds = statistics.durations["Putting the model together"]
            self._found["storing_user_history_duration"] = _seconds(seconds)
        self._found["catalog_feature_weights"] = dict(model.feature_weights) or None
        return model

    def _evaluate(
        self,
        model: SARRecommender,
        usage: Interactions,
        test: Interactions,
        report: reading.ParsingReport,
    ) -> ModelEvaluation:
        """What the model recommends to users of the evaluation files, against what they took."""
        if not report.usable:
            return ModelEvaluation(usage_events_parsing=_report(report))
        self._progress("Evaluating Trained Model")
        started = time.perf_counter()
        trial = try_out(recommending(model, usage), usage, test, API_LIST, model.items)
        metrics = EvaluationMetrics()
        spread = diversity(trial)
        if spread is not None:
            metrics = EvaluationMetrics(
                precision_metrics=tuple(
                    PrecisionMetric(
                        k=one.k, percentage=one.percentage, users_in_test=one.users_in_test
                    )
                    for one in precision(trial)
                ),
                diversity_metrics=DiversityMetrics(
                    percentile_buckets=tuple(
                        PercentileBucket(
                            min=bucket.minimum, max=bucket.maximum, percentage=bucket.percentage
                        )
                        for bucket in spread.buckets
                    ),
                    total_items_recommended=spread.total_items_recommended,
                    unique_items_recommended=spread.unique_items_recommended,
                    unique_items_in_train_set=len(usage.items),
                ),
            )
        return ModelEvaluation(
            duration=_seconds(time.perf_counter() - started),
            usage_events_parsing=_report(report),
            metrics=metrics,
        )

    def _end(self, failure: str | None) -> Outcome:
        found = self._found
        training = found.pop("training_duration", timedelta())
        total = timedelta()
        if failure is None:
            evaluation = found.get("evaluation") or ModelEvaluation()
            reports = (
                found.get("catalog_parsing"),
                found["usage_events_parsing"],
                evaluation.usage_events_parsing,
            )
            parsing = sum((report.duration for report in reports if report), timedelta())
            total = training + parsing + (evaluation.duration or timedelta())
        statistics = TrainingStatistics(total_duration=total, training_duration=training, **found)
        return Outcome(statistics, failure)


def _parameters(request: TrainingRequest) -> TrainingParameters:
    named = {field.name: getattr(request, field.name, None) for field in fields(TrainingParameters)}
    shared = {name: value for name, value in named.items() if value is not None}
    return TrainingParameters(**{name: getattr(v, "name", v) for name, v in shared.items()})


def _report(report: reading.ParsingReport) -> ParsingReport:
    errors = tuple(
        ParsingError(
            count=error.count,
            error=ParsingErrorKind[error.error],
            sample=ErrorSample(file=error.samples[0].file, line=error.samples[0].line),
        )
        for error in report.errors
    )
    return ParsingReport(
        duration=_seconds(report.duration),
        errors=errors or None,
        successful_lines_count=report.successful_lines,
        total_lines_count=report.total_lines,
    )


def _seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)
