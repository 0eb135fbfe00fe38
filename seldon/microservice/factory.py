"""`Microservices`: from a saved recommender, pipeline or extension to a running service."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask

from seldon.algorithms import Algorithm, from_live_model, from_recommender
from seldon.config import server_list, settings
from seldon.live import LiveModel
from seldon.locations import Location, is_url
from seldon.microservice.recommend import Algorithms, mount_recommend
from seldon.operation.log import RequestLog, configure_logging
from seldon.versions import pointing_file
from seldon.web import create_web_app
from seldon.wrappers import ExtensionWrapper, RecommenderWrapper

if TYPE_CHECKING:
    from seldon.microservice.rpc import CustomDataHandler
    from seldon.pipeline.predictor import Predictor
    from seldon.pipeline.util import PipelineWrapper


class Microservices:
    """Makes apps of saved models.

    Each app that is returned is a Flask app: ``app.run(…)`` serves it for testing, gunicorn in
    earnest. Beside its own route it has ``/healthz``, ``/readyz`` and ``/metrics``.

    Parameters
    ----------
    aws_key, aws_secret : str, optional
        For models at ``s3://`` locations. Without them the usual places are searched.
    trusted : bool or collection of str
        Whether folders of the original Seldon package, which are pickles, are read: see
        `seldon.originals.unpickled`.
    """

    def __init__(
        self,
        aws_key: str | None = None,
        aws_secret: str | None = None,
        *,
        trusted: bool | Collection[str] = False,
    ) -> None:
        self._credentials: dict[str, Any] = {"aws_key": aws_key, "aws_secret": aws_secret}
        self._trusted = trusted

    def create_recommendation_microservice(
        self,
        recommender_folder: Location,
        memcache_servers: str | Sequence[str] | None = None,
        memcache_pool_size: int = 2,
    ) -> Flask:
        """Serve a saved `seldon.Recommender` at ``/recommend``.

        Parameters
        ----------
        recommender_folder : path or fsspec URL
            What `save_recommender` wrote, or a home of versions; a path is watched, and a
            newer model there is taken up without a restart.
        memcache_servers : str or list of str, optional
            ``"host:port,host:port"``, in the order of the Seldon server's own list.
        memcache_pool_size : int
            Connections to each server in each process.
        """
        memcache = {"servers": server_list(memcache_servers or []), "pool_size": memcache_pool_size}
        app, values, request_log = _web_app("recommend", MEMCACHE=memcache)
        algorithm = self._algorithm(recommender_folder, app)
        mount_recommend(app, Algorithms([algorithm]), values, request_log)
        return app

    def create_prediction_microservice(
        self, pipeline_folder: Location, model_name: str, *, wire: str = "documented"
    ) -> Flask:
        """Serve a saved scikit-learn pipeline at ``/predict``.

        Parameters
        ----------
        pipeline_folder : path or fsspec URL
            What `PipelineWrapper.save_pipeline` wrote.
        model_name : str
            What answers call the model.
        wire : {"documented", "server"}
            Names of the answer's fields, see `seldon.microservice.predict`.

        Raises
        ------
        ModelNotFound, InvalidModel
            Also when the pipeline answers no class probabilities.
        """
        from seldon.microservice.predict import create_blueprint

        wrapper, predictor = self._predictor(pipeline_folder, model_name)
        app, values, _ = _web_app("predict")
        _mount(app, create_blueprint(predictor, wire, *_limits(values)))
        _declare(
            app,
            model_name,
            seldon_pipeline_wrapper=wrapper,
            seldon_pipeline=predictor.pipeline,
            seldon_model_name=model_name,
        )
        return app

    def create_prediction_rpc_microservice(
        self,
        pipeline_folder: Location,
        model_name: str,
        custom_data_handler: CustomDataHandler | None = None,
        **options: Any,
    ) -> None:
        """Serve a saved scikit-learn pipeline over gRPC until the process is told to stop.

        Parameters
        ----------
        pipeline_folder, model_name
            As for `create_prediction_microservice`.
        custom_data_handler : CustomDataHandler, optional
            Makes features of a request; the default takes a list of numbers.
        **options
            Fields of `seldon.microservice.rpc_server.ServerOptions`: port, workers, TLS files, ….
        """
        from seldon.microservice.rpc_server import PredictionServer, ServerOptions

        configure_logging(settings(None)[0]["LOG_LEVEL"])
        chosen = ServerOptions(**options)
        _, predictor = self._predictor(pipeline_folder, model_name)
        PredictionServer(predictor, custom_data_handler, chosen).run()

    def create_extension_microservice(self, extension_folder: Location) -> Flask:
        """Serve a saved `seldon.Extension` at ``/extension``.

        Parameters
        ----------
        extension_folder : path or fsspec URL
            What `ExtensionWrapper.save_extension` wrote.
        """
        from seldon.microservice.extension import create_blueprint

        wrapper = ExtensionWrapper(**self._credentials)
        extension = wrapper.load_extension(extension_folder, trusted=self._trusted)
        app, values, _ = _web_app("extension")
        _mount(app, create_blueprint(extension, *_limits(values)))
        _declare(
            app,
            type(extension).__name__,
            seldon_extension_wrapper=wrapper,
            seldon_extension=extension,
        )
        return app

    def _predictor(self, location: Location, model_name: str) -> tuple[PipelineWrapper, Predictor]:
        from seldon.pipeline.predictor import Predictor
        from seldon.pipeline.util import PipelineWrapper

        wrapper = PipelineWrapper(**self._credentials)
        pipeline = wrapper.load_pipeline(location, trusted=self._trusted)
        return wrapper, Predictor(pipeline, model_name)

    def _algorithm(self, location: Location, app: Flask) -> Algorithm:
        """The saved recommender; one that can change in place is followed."""
        if not is_url(location) and pointing_file(location).exists():
            live = LiveModel(location)
            app.config["seldon_recommender"] = live.get().model
            return from_live_model(live, type(live.get().model).__name__)
        wrapper = RecommenderWrapper(**self._credentials)
        recommender = wrapper.load_recommender(location, trusted=self._trusted)
        app.config["seldon_recommender"] = recommender
        return from_recommender(recommender, type(recommender).__name__, str(location))


def _web_app(name: str, **overrides: Any) -> tuple[Flask, dict[str, Any], RequestLog]:
    values, _ = settings(None, **overrides)
    configure_logging(values["LOG_LEVEL"])
    request_log = RequestLog()
    return create_web_app(f"seldon.{name}", values, request_log), values, request_log


def _limits(values: dict[str, Any]) -> tuple[int, int]:
    return values["MAX_QUERY_BYTES"], values["MAX_BODY_BYTES"]


def _mount(app: Flask, blueprint: Blueprint) -> None:
    app.register_blueprint(blueprint)
    # `seldon.worker` refuses a long body before the app sees it; here too that is 400.
    app.config["TOO_LONG_STATUS"] = 400


def _declare(app: Flask, model_name: str, **config: Any) -> None:
    """Put the model under its documented names into the config, and into ``/readyz``."""
    app.config.update(config)
    app.extensions["readiness"].add("model", lambda: {"ok": True, "name": model_name})
