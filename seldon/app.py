"""`create_app`: the recommender service, put together."""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType
from typing import Any

from flask import Flask

from seldon.config import settings
from seldon.microservice.recommend import Algorithms, mount_recommend
from seldon.operation.log import RequestLog, configure_logging
from seldon.web import create_web_app

log = logging.getLogger(__name__)


def create_app(
    module: ModuleType | None = None, root: Path | None = None, **overrides: Any
) -> Flask:
    """The WSGI app that gunicorn serves.

    Parameters
    ----------
    module : module, optional
        ``recommender_config``.
    root : Path, optional
        The folder of ``recommender.py``: algorithms are looked for in its ``algs/`` and then
        beside it. Default: the current folder.
    **overrides
        Settings that win over the module and the environment.

    Raises
    ------
    InvalidSetting, AlgorithmNotFound
        What is wrong and where to mend it.
    """
    values, _ = settings(module, **overrides)
    configure_logging(values["LOG_LEVEL"])
    request_log = RequestLog()
    app = create_web_app("recommender", values, request_log)
    folder = root or Path.cwd()
    mount_recommend(app, Algorithms.load(values, [folder / "algs", folder]), values, request_log)
    if any(values["API_KEYS"]["admin"]):
        from seldon.models_api import mount

        mount(app, values)
    else:
        log.info("the models API is not mounted: the setting API_KEYS has no admin key")
    return app
