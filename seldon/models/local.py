"""The models of this machine's folders, without a service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import orjson

from seldon.config import PREFIX
from seldon.errors import ModelNotFound
from seldon.models_api import TRAINER_SETTINGS
from seldon.models_api.recommend import as_json, for_events, for_item
from seldon.models_api.requests import model_id, training_request
from seldon.models_api.schemas import to_json
from seldon.models_api.service import ModelsService
from seldon.models_api.serving import LoadedModels, load_model
from seldon.models_api.workplace import open_workplace


class LocalModels:
    """What a service with the same settings would serve.

    Parameters
    ----------
    settings : mapping
        See `seldon.config`; the models' own are used.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._place = open_workplace(settings)
        self._service = ModelsService(
            self._place.registry,
            self._place.store,
            self._place.inputs,
            self._place.uploads,
            LoadedModels(load_model, maximum_number=1, maximum_bytes=2**62),
        )
        self._settings = settings
        self._trainer: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        self._place.registry.close()
        if self._trainer is not None:
            self._trainer.wait()

    def upload(
        self, file: Path, container: str, path: str, progress: Callable[[int], None]
    ) -> None:
        with file.open("rb") as stream:
            self._place.inputs.write(container, path, _Counted(stream, progress))

    def train(self, parameters: dict[str, Any]) -> dict[str, Any]:
        model = self._service.create(training_request(orjson.dumps(parameters)))
        # It ends when nothing is left to train; a trainer that is there already may be faster.
        command = [sys.executable, "-m", "seldon.models_api.trainer", "--until-idle"]
        named = {PREFIX + name: json.dumps(self._settings[name]) for name in TRAINER_SETTINGS}
        self._trainer = subprocess.Popen(command, env={**os.environ, **named})
        created: dict[str, Any] = to_json(model)
        return created

    def list(self) -> Any:
        return to_json(self._place.registry.summaries())

    def show(self, name: str) -> dict[str, Any]:
        model: dict[str, Any] = to_json(self._service.model(_wanted(name)))
        return model

    def set_default(self, name: str) -> None:
        if not self._place.registry.set_default(model_id(name)):
            raise ModelNotFound(f"there is no completed model {name}")

    def delete(self, name: str) -> None:
        self._service.delete(model_id(name))

    def recommend(
        self,
        name: str,
        item: str | None,
        events: Iterable[dict[str, Any]],
        user: str | None,
        count: int,
    ) -> Any:
        wanted = _wanted(name)
        asked = {"recommendationcount": str(count), "userid": user or ""}
        if item is not None:
            pairs = for_item(self._service, wanted, {**asked, "itemid": item})
        else:
            pairs = for_events(self._service, wanted, asked, orjson.dumps(list(events)))
        return orjson.loads(as_json(pairs))


def _wanted(name: str) -> str | None:
    return None if name == "default" else model_id(name)


class _Counted:
    """Reads from `stream` and tells `progress` the bytes of each block."""

    def __init__(self, stream: IO[bytes], progress: Callable[[int], None]) -> None:
        self._stream = stream
        self._progress = progress

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self._progress(len(block))
        return block
