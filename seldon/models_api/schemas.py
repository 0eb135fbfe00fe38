"""The JSON of the API reference as dataclasses: one definition for parsing, answering, OpenAPI.

A field's wire name is its Python name in camelCase; `None` is left out of every answer.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any


class ModelStatus(enum.Enum):
    Created = 0
    InProgress = 1
    Completed = 2
    Failed = 3


class CooccurrenceUnit(enum.Enum):
    User = 0
    Timestamp = 1


class SimilarityFunction(enum.Enum):
    Jaccard = 0
    Cooccurrence = 1
    Lift = 2


class EventType(enum.Enum):
    Custom = 0
    Click = 1
    RecommendationClick = 2
    AddShopCart = 3
    RemoveShopCart = 4
    Purchase = 5


class ParsingErrorKind(enum.Enum):
    MalformedLine = 0
    MissingFields = 1
    BadTimestampFormat = 2
    BadWeightFormat = 3
    MalformedCatalogItemFeature = 4
    ItemIdTooLong = 5
    IllegalCharactersInItemId = 6
    UserIdTooLong = 7
    IllegalCharactersInUserId = 8
    UnknownItemId = 9
    DuplicateItemId = 10


@dataclass(frozen=True, kw_only=True)
class TrainingParameters:
    """What a model is trained with; the names, ranges and defaults of the reference."""

    blob_container_name: str
    catalog_file_relative_path: str | None = None
    usage_relative_path: str
    evaluation_usage_relative_path: str | None = None
    support_threshold: int = field(default=6, metadata={"minimum": 3, "maximum": 50})
    cooccurrence_unit: CooccurrenceUnit = CooccurrenceUnit.User
    similarity_function: SimilarityFunction = SimilarityFunction.Jaccard
    enable_cold_item_placement: bool = False
    enable_cold_to_cold_recommendations: bool = False
    enable_user_affinity: bool = False
    enable_user_to_item_recommendations: bool = False
    allow_seed_items_in_recommendations: bool = False
    enable_backfilling: bool = True
    decay_period_in_days: int = field(default=30, metadata={"minimum": 1, "maximum": 2147483647})


@dataclass(frozen=True, kw_only=True)
class TrainingRequest(TrainingParameters):
    """The body of *train a new model*."""

    description: str | None = field(default=None, metadata={"maxLength": 256})


@dataclass(frozen=True, kw_only=True)
class ErrorSample:
    file: str
    line: int


@dataclass(frozen=True, kw_only=True)
class ParsingError:
    count: int
    error: ParsingErrorKind
    sample: ErrorSample


@dataclass(frozen=True, kw_only=True)
class ParsingReport:
    duration: timedelta
    errors: tuple[ParsingError, ...] | None = None
    successful_lines_count: int
    total_lines_count: int


@dataclass(frozen=True, kw_only=True)
class PrecisionMetric:
    k: int
    percentage: float
    users_in_test: int


@dataclass(frozen=True, kw_only=True)
class PercentileBucket:
    min: int
    max: int
    percentage: float


@dataclass(frozen=True, kw_only=True)
class DiversityMetrics:
    percentile_buckets: tuple[PercentileBucket, ...]
    total_items_recommended: int
    unique_items_recommended: int
    unique_items_in_train_set: int


@dataclass(frozen=True, kw_only=True)
class EvaluationMetrics:
    """Empty when nothing could be scored."""

    precision_metrics: tuple[PrecisionMetric, ...] | None = None
    diversity_metrics: DiversityMetrics | None = None


@dataclass(frozen=True, kw_only=True)
class ModelEvaluation:
    duration: timedelta | None = None
    usage_events_parsing: ParsingReport | None = None
    metrics: EvaluationMetrics | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingStatistics:
    total_duration: timedelta
    training_duration: timedelta
    storing_user_history_duration: timedelta | None = None
    catalog_parsing: ParsingReport | None = None
    usage_events_parsing: ParsingReport | None = None
    number_of_catalog_items: int | None = None
    number_of_usage_items: int
    number_of_users: int
    catalog_coverage: float | None = None
    evaluation: ModelEvaluation | None = None
    catalog_feature_weights: dict[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """One entry of *list models*."""

    id: str
    description: str | None
    creation_time: datetime
    model_status: ModelStatus


@dataclass(frozen=True, kw_only=True)
class Model(ModelSummary):
    """A model as *get model* answers it.

    `parameters` and `statistics` are kept as the JSON they were written as.
    """

    model_status_message: str | None = None
    parameters: TrainingParameters | dict[str, Any] | None = None
    statistics: TrainingStatistics | dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class UsageEvent:
    """One event of a personalised request.

    Without `item_id` it is ignored; `timestamp` absent is now; `weight` absent is the weight
    of `event_type`, and that is 1 when both are.
    """

    item_id: str = ""
    timestamp: datetime | None = None
    event_type: EventType | None = None
    weight: float | None = None


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    recommended_item_id: str
    score: float


@dataclass(frozen=True, kw_only=True)
class ErrorMessage:
    """The body of a 4xx; on the wire its names are `Message` and `ModelState`."""

    message: str
    model_state: dict[str, tuple[str, ...]] | None = None


def wire_name(name: str) -> str:
    """`support_threshold` → `supportThreshold`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def to_json(value: Any) -> Any:
    """Plain JSON values for `value`: dataclasses, enums, dates and durations included."""
    if is_dataclass(value):
        pairs = ((wire_name(f.name), getattr(value, f.name)) for f in fields(value))
        return {name: to_json(held) for name, held in pairs if held is not None}
    if isinstance(value, dict):
        return {name: to_json(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(held) for held in value]
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, datetime):
        return date_time(value)
    if isinstance(value, timedelta):
        return time_span(value)
    return value


def date_time(moment: datetime) -> str:
    """UTC, ISO 8601, trailing zeros of the fraction cut: ``2017-05-04T00:26:06.386324Z``."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{text.rstrip('0').rstrip('.')}Z"


def time_span(duration: timedelta) -> str:
    """.NET's constant format ``[d.]hh:mm:ss[.fffffff]``: ``01:07:01.0929075``."""
    hours, rest = divmod(duration.seconds, 3600)
    days = f"{duration.days}." if duration.days else ""
    ticks = f".{duration.microseconds * 10:07d}" if duration.microseconds else ""
    return f"{days}{hours:02d}:{rest // 60:02d}:{rest % 60:02d}{ticks}"
