"""`ModelsService`: what can be done with models, without HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from seldon.errors import ModelNotFound
from seldon.models_api.inputs import LocalInputs, RemoteInputs, normalised
from seldon.models_api.parts import PartialUploads
from seldon.models_api.registry import ModelRegistry
from seldon.models_api.requests import InvalidRequest
from seldon.models_api.schemas import Model, ModelStatus, TrainingRequest, UsageEvent, to_json
from seldon.models_api.serving import LoadedModels
from seldon.models_api.store import ModelStore
from seldon.sar.affinity import Event
from seldon.sar.model import SARRecommender


@dataclass(frozen=True)
class ModelsService:
    """The models: what the API, the page and the command do with them, without HTTP."""

    registry: ModelRegistry
    store: ModelStore
    inputs: LocalInputs | RemoteInputs
    uploads: PartialUploads
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


def _normalised(path: str | None) -> str | None:
    return normalised(path) if path else None
