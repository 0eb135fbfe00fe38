"""The registry, the models and the inputs that the settings name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seldon.errors import InvalidSetting
from seldon.models_api.database import Database
from seldon.models_api.inputs import LocalInputs, RemoteInputs, open_inputs
from seldon.models_api.parts import PartialUploads
from seldon.models_api.queue import TrainingQueue
from seldon.models_api.registry import ModelRegistry
from seldon.models_api.store import ModelStore


@dataclass(frozen=True)
class Workplace:
    """What the API and a training read from and write to.

    Attributes
    ----------
    memory : int
        Bytes a training may use.
    """

    registry: ModelRegistry
    queue: TrainingQueue
    store: ModelStore
    inputs: LocalInputs | RemoteInputs
    uploads: PartialUploads
    memory: int


def open_workplace(settings: Mapping[str, Any]) -> Workplace:
    """Open what the settings name; folders and an empty registry are made when missing.

    Raises
    ------
    InvalidSetting, RegistryUnavailable
        The registry cannot be used; see `Database`.
    """
    try:
        store = ModelStore(settings["MODELS_ROOT"])
    except OSError as error:
        raise InvalidSetting(
            f"MODELS_ROOT={settings['MODELS_ROOT']!r} cannot be written: {error}"
        ) from error
    url = settings["MODELS_DATABASE"] or f"sqlite:///{store.root / 'registry.sqlite'}"
    inputs = open_inputs(settings["MODELS_INPUT_ROOT"])
    database = Database(url)
    return Workplace(
        ModelRegistry(database),
        TrainingQueue(database),
        store,
        inputs,
        PartialUploads(store.root / ".parts", inputs),
        _training_memory(settings["TRAINING_MEMORY_BYTES"]),
    )


def _training_memory(setting: int) -> int:
    """The setting, or four fifths of what this machine or container has; bytes."""
    if setting:
        return setting
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return total * 4 // 5
