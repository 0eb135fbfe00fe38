"""What each operation of the API reference does, in the order of the reference."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from flask import Response, request
from werkzeug.exceptions import UnsupportedMediaType

from seldon.errors import ModelNotFound
from seldon.models_api.inputs import LocalInputs, RemoteInputs, normalised
from seldon.models_api.keys import ApiKeys
from seldon.models_api.registry import ModelRegistry
from seldon.models_api.requests import (
    InvalidRequest,
    model_id,
    recommendation_count,
    training_request,
    usage_events,
)
from seldon.models_api.schemas import (
    Model,
    ModelStatus,
    TrainingRequest,
    UsageEvent,
    to_json,
)
from seldon.models_api.serving import LoadedModels
from seldon.models_api.store import ModelStore
from seldon.sar.affinity import Event
from seldon.sar.model import SARRecommender

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True)
class ModelsService:
    """What the views work on."""

    keys: ApiKeys
    registry: ModelRegistry
    store: ModelStore
    inputs: LocalInputs | RemoteInputs
    loaded: LoadedModels[SARRecommender]

    def recommender(self, wanted: str | None) -> SARRecommender:
        """The recommender of a model, of the default model for `None`.

        The registry is asked each time, so that what one process deletes or makes the default
        is seen by all at once.

        Raises
        ------
        ModelNotFound
            No such model, no default, or its folder is gone.
        InvalidRequest
            It is not trained yet, or could not be.
        """
        found = self.registry.status(wanted)
        if found is None:
            if wanted is not None:
                self.loaded.drop(self.store.folder(wanted))
            raise ModelNotFound(f"there is no model {wanted or 'set as the default'}")
        name, status = found
        if status is not ModelStatus.Completed:
            raise InvalidRequest(
                "Model must be in the 'Completed' status before getting recommendation"
            )
        return self.loaded.get(self.store.folder(name))

    def model(self, wanted: str | None) -> Model:
        """A model in full, the default model for `None`; the place in the queue while it waits.

        Raises
        ------
        ModelNotFound
        """
        model = self.registry.default() if wanted is None else self.registry.get(wanted)
        if model is None:
            raise ModelNotFound(f"there is no model {wanted or 'set as the default'}")
        if model.model_status is ModelStatus.Created:
            before = self.registry.waiting_before(model.id)
            message = f"Waiting for {before} other training{'s' * (before > 1)}"
            message = message if before else "Waiting for a trainer"
            return replace(model, model_status_message=message)
        return model

    def create(self, given: TrainingRequest) -> Model:
        """A new model, waiting for a trainer.

        Raises
        ------
        InvalidRequest
            An input it names does not exist.
        """
        problems = missing_inputs(self.inputs, given)
        if problems:
            raise InvalidRequest("The request is invalid.", problems)
        parameters = to_json(
            replace(
                given,
                description=None,
                usage_relative_path=normalised(given.usage_relative_path),
                catalog_file_relative_path=_normalised(given.catalog_file_relative_path),
                evaluation_usage_relative_path=_normalised(given.evaluation_usage_relative_path),
            )
        )
        return self.registry.create(parameters, given.description)

    def delete(self, model_id: str) -> None:
        """Take a model away; its training, if it is in one, ends within a second.

        Raises
        ------
        ModelNotFound
        """
        if not self.registry.delete(model_id):
            raise ModelNotFound(f"there is no model {model_id}")
        # A trainer that is at it removes what it has; see `trainer`.
        self.store.remove(model_id)
        self.loaded.drop(self.store.folder(model_id))


def train_model(service: ModelsService) -> Response:
    model = service.create(training_request(body()))
    answer = answered(model, 201)
    answer.headers["Location"] = f"{request.url_root}api/models/{model.id}"
    return answer


def list_models(service: ModelsService) -> Response:
    return answered(service.registry.summaries())


def get_model(service: ModelsService, modelId: str) -> Response:
    return answered(service.model(model_id(modelId)))


def delete_model(service: ModelsService, modelId: str) -> Response:
    service.delete(model_id(modelId))
    return empty(202)


def set_default_model(service: ModelsService) -> Response:
    wanted = model_id(query("modelId") or "")
    if not service.registry.set_default(wanted):
        raise ModelNotFound(f"there is no completed model {wanted}")
    return empty(200)


def get_default_model(service: ModelsService) -> Response:
    return answered(service.model(None))


def recommend_for_item(service: ModelsService, modelId: str | None = None) -> Response:
    wanted = None if modelId is None else model_id(modelId)
    item = query("itemId")
    if item is None:
        raise InvalidRequest("itemId is missing: give the item to recommend for, as ?itemId=…")
    count = recommendation_count(query("recommendationCount"))
    recommender = service.recommender(wanted)
    # An empty item id is no event: popular items, or nothing.
    if not item.strip():
        return recommended(recommender.recommend_items([], None, count, time.time()))
    return recommended(recommender.similar_items(item.strip(), count))


def recommend_for_events(service: ModelsService, modelId: str | None = None) -> Response:
    wanted = None if modelId is None else model_id(modelId)
    count = recommendation_count(query("recommendationCount"))
    events = usage_events(body())
    recommender = service.recommender(wanted)
    user = (query("userId") or "").strip() or None
    return recommended(recommender.recommend_items(sar_events(events), user, count, time.time()))


def upload_input(service: ModelsService, container: str, path: str) -> Response:
    """Beyond the reference, which left it to the cloud's own storage API."""
    # Usage files are larger than any other body; None would mean the app's limit.
    request.max_content_length = sys.maxsize
    service.inputs.write(container, path, request.stream)
    return empty(204)


def missing_inputs(
    inputs: LocalInputs | RemoteInputs, given: TrainingRequest
) -> dict[str, list[str]]:
    """What of a training request does not exist, by the reference's keys."""
    container = given.blob_container_name
    problems = {}
    if not inputs.has_container(container):
        problems["BlobContainerName"] = (
            "The usage/catalog/evaluation Azure blob container specified in 'blobContainerName' "
            "does not exist in the service's default Azure storage account"
        )
    if given.enable_cold_item_placement and not (given.catalog_file_relative_path or "").strip():
        problems["CatalogFileRelativePath"] = (
            "catalogFileRelativePath is required since enableColdItemPlacement value is true."
        )
    if "BlobContainerName" not in problems:
        usage, catalog = given.usage_relative_path, given.catalog_file_relative_path
        evaluation = given.evaluation_usage_relative_path
        if not inputs.has_files(container, usage):
            problems["UsageRelativePath"] = "usageRelativePath does not contain any blobs"
        if given.enable_cold_item_placement and catalog and not inputs.is_file(container, catalog):
            problems.setdefault(
                "CatalogFileRelativePath",
                "catalogFileRelativePath does not exist under the base container",
            )
        if evaluation and not inputs.has_files(container, evaluation):
            problems["EvaluationUsageRelativePath"] = (
                "EvaluationUsageRelativePath does not contain any blobs"
            )
    return {f"modelParameters.{name}": [message] for name, message in problems.items()}


def query(name: str) -> str | None:
    """A query parameter; its name is matched without regard to case, the first one counts."""
    for given, value in request.args.items(multi=True):
        if given.lower() == name.lower():
            return value
    return None


def body() -> bytes:
    """The JSON text of the request; an empty body may have any media type."""
    text = request.get_data(cache=False)
    if text and request.mimetype not in ("application/json", "text/json"):
        raise UnsupportedMediaType(
            f"The request entity's media type '{request.mimetype or 'none'}' is not supported "
            "for this resource."
        )
    return text


def sar_events(events: Sequence[UsageEvent]) -> list[Event]:
    return [
        Event(
            event.item_id.strip(),
            None if event.timestamp is None else event.timestamp.timestamp(),
            None if event.event_type is None else event.event_type.name,
            event.weight,
        )
        for event in events
    ]


def recommended(pairs: Sequence[tuple[str, float]]) -> Response:
    items = [{"recommendedItemId": item, "score": score} for item, score in pairs]
    return Response(orjson.dumps(items), content_type=JSON)


def empty(status: int) -> Response:
    response = Response(status=status)
    del response.headers["Content-Type"]
    return response


def answered(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(to_json(value)), status, content_type=JSON)


def _normalised(path: str | None) -> str | None:
    return normalised(path) if path else None
