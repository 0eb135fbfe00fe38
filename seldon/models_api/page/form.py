"""The form that starts a training, and the JSON of the API behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from seldon.models_api.requests import InvalidRequest
from seldon.models_api.schemas import TrainingParameters, to_json, wire_name

_SWITCHES = (
    "enableColdItemPlacement",
    "enableColdToColdRecommendations",
    "enableUserAffinity",
    "enableUserToItemRecommendations",
    "allowSeedItemsInRecommendations",
    "enableBackfilling",
)
_NUMBERS = ("supportThreshold", "decayPeriodInDays")
_TEXTS = (
    "description",
    "blobContainerName",
    "usageRelativePath",
    "catalogFileRelativePath",
    "evaluationUsageRelativePath",
    "cooccurrenceUnit",
    "similarityFunction",
    *_NUMBERS,
)
_PLAIN = {
    "default Azure storage account": "There is no such container; uploading a file to it makes it.",
    "any blobs": "There is no such file, and no folder of this name with files in it.",
}
DEFAULTS: Mapping[str, Any] = {
    wire_name(field.name): to_json(field.default)
    for field in fields(TrainingParameters)
    if field.default is not MISSING and field.default is not None
}


def given_in(form: Mapping[str, str]) -> dict[str, Any]:
    """The form of a training as the JSON that the API takes; blank fields are left out."""
    given: dict[str, Any] = {name: form[name].strip() for name in _TEXTS if form.get(name)}
    for name in _NUMBERS:
        text = given.get(name, "")
        if text.isascii() and text.isdigit() and len(text) <= 10:
            given[name] = int(text)
    return {**given, **{name: name in form for name in _SWITCHES}}


def by_field(error: InvalidRequest) -> dict[str, list[str]]:
    """``modelParameters.SupportThreshold`` becomes ``supportThreshold``."""
    problems = {}
    for key, messages in error.model_state.items():
        name = key.removeprefix("modelParameters.")
        name = name[0].lower() + name[1:]
        problems[name] = [_plain(message) for message in messages]
    return problems


def _plain(message: str) -> str:
    """Messages of the reference that speak of a cloud's storage, in words of this service."""
    for ending, plain in _PLAIN.items():
        if message.endswith(ending):
            return plain
    return message
