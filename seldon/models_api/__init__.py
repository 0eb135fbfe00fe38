"""The Product Recommendations REST API: train SAR models on usage files, ask them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask

TRAINER_SETTINGS = (
    "MODELS_ROOT",
    "MODELS_INPUT_ROOT",
    "MODELS_DATABASE",
    "TRAINING_MEMORY_BYTES",
    "LOG_LEVEL",
)


def mount(app: Flask, settings: Mapping[str, Any]) -> None:
    """Serve the API and its description from `app`, and see to it that models get trained.

    Parameters
    ----------
    settings : mapping
        See `seldon.config`; ``API_KEYS`` has an admin key.

    Raises
    ------
    InvalidSetting, RegistryUnavailable
        The registry cannot be used.
    """
    from seldon.models_api.blueprint import mount_models_api
    from seldon.models_api.gate import Gate
    from seldon.models_api.keeper import TrainerKeeper
    from seldon.models_api.keys import ApiKeys
    from seldon.models_api.limits import CallLimits
    from seldon.models_api.service import ModelsService
    from seldon.models_api.serving import LoadedModels, load_model
    from seldon.models_api.workplace import open_workplace

    place = open_workplace(settings)
    keys = ApiKeys(**settings["API_KEYS"])
    limits = CallLimits(
        place.store.root / ".calls",
        keys.secret("call limits"),
        per_key=settings["MODELS_CALLS_PER_MINUTE"],
        per_address=settings["MODELS_REFUSALS_PER_MINUTE"],
    )
    gate = Gate(keys, limits)
    service = ModelsService(
        place.registry,
        place.store,
        place.inputs,
        place.uploads,
        LoadedModels(
            load_model,
            maximum_number=settings["MODELS_LOADED"],
            maximum_bytes=settings["MODELS_MEMORY_BYTES"],
        ),
    )
    app.extensions["models_api"] = service
    mount_models_api(app, service, gate)
    if settings["SWAGGER_UI"]:
        from seldon.models_api.swagger import create_swagger

        app.register_blueprint(create_swagger())
    if settings["MODELS_PAGE"]:
        from seldon.models_api.page import create_page

        app.register_blueprint(create_page(service, gate))
    if settings["START_TRAINER"]:
        handed_on = {name: settings[name] for name in TRAINER_SETTINGS}
        TrainerKeeper(place.queue, place.store.root, handed_on).start()
