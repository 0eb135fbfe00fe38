from __future__ import annotations

import io

import pytest

from seldon.models_api import mount
from seldon.models_api.database import Database
from seldon.models_api.queue import TrainingQueue
from seldon.models_api.registry import ModelRegistry
from seldon.models_api.trainer import Trainer
from seldon.models_api.training import warm_up
from seldon.models_api.workplace import open_workplace
from tests.services.postgresql import missing, postgresql

ADMIN, ADMIN_2, RECOMMEND, RECOMMEND_2 = "admin-1", "admin-2", "recommend-1", "recommend-2"

# Table T7 of the API's documentation of SAR: users and what they took.
T7 = {"u1": "ABC", "u2": "ABCD", "u3": "ADE", "u4": "ACD", "u5": "ABCDE", "u6": "E", "u7": "B"}
T7_CSV = "".join(
    f"{user},{item},2017-04-01T12:00:00\n" for user, items in T7.items() for item in items
)
PARAMETERS = {"blobContainerName": "a", "usageRelativePath": "b"}
UNKNOWN = "0b8f2c1e-6f0e-4d53-9a55-0c7e8f1d2a34"


def started(registry, queue, host="here"):
    """A run of a new model."""
    model = registry.create(PARAMETERS, None)
    (queued,) = [one for one in queue.unfinished() if one.id == model.id]
    return queue.claim(queued, host)


def completed(registry, queue):
    """Id of a model whose run is completed."""
    run = started(registry, queue)
    assert queue.complete(run, {"numberOfUsers": 3})
    return run.model_id


@pytest.fixture(scope="session")
def postgresql_url():
    if missing():
        pytest.skip(missing())
    with postgresql() as url:
        yield url


@pytest.fixture
def empty_postgresql(postgresql_url):
    """URL of the one PostgreSQL server of the session, without our tables."""
    import sqlalchemy as sa

    engine = sa.create_engine(sa.make_url(postgresql_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS models, facts"))
    engine.dispose()
    return postgresql_url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def database(request, tmp_path):
    """URL of an empty database: every test that uses it runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.sqlite'}"
    return request.getfixturevalue("empty_postgresql")


BOTH_DATABASES = pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="sqlite"),
        pytest.param({"MODELS_DATABASE": "postgresql"}, id="postgresql", marks=pytest.mark.service),
    ],
    indirect=True,
)
"""Runs a test of the API or the trainer on both kinds."""


@pytest.fixture
def opened(database):
    opened = Database(database)
    yield opened
    opened.close()


@pytest.fixture
def registry(opened):
    registry = ModelRegistry(opened)
    yield registry
    registry.close()


@pytest.fixture
def queue(opened):
    return TrainingQueue(opened)


@pytest.fixture
def settings(request, tmp_path):
    from seldon.config import settings

    chosen = dict(getattr(request, "param", {}))
    if chosen.get("MODELS_DATABASE") == "postgresql":
        chosen["MODELS_DATABASE"] = request.getfixturevalue("empty_postgresql")
    values, _ = settings(
        None,
        {},
        **{
            "API_KEYS": {"admin": [ADMIN, ADMIN_2], "recommend": [RECOMMEND, RECOMMEND_2]},
            "MODELS_ROOT": str(tmp_path / "models"),
            "MODELS_INPUT_ROOT": str(tmp_path / "inputs"),
            "START_TRAINER": False,
            **chosen,
        },
    )
    return values


@pytest.fixture
def place(settings):
    """The registry, models and inputs of `settings`, with T7 in the container `shop`."""
    place = open_workplace(settings)
    place.inputs.write("shop", "t7/usage.csv", io.BytesIO(T7_CSV.encode()))
    yield place
    place.registry.close()


@pytest.fixture
def app(settings, place):
    from seldon.operation.log import RequestLog
    from seldon.web import create_web_app

    request_log = RequestLog()
    app = create_web_app("test", settings, request_log)
    app.extensions["request_log"] = request_log
    mount(app, settings)
    yield app
    app.extensions["models_api"].registry.close()


@pytest.fixture
def client(app):
    """An API client whose requests carry the admin key unless they bring headers."""
    return Client(app.test_client())


@pytest.fixture
def train(place):
    """Trains what waits, in child processes as in production, until nothing is left."""

    warm_up()

    def train():
        trainer = Trainer(place)
        while trainer.train_next():
            pass

    return train


class Client:
    def __init__(self, client):
        self._client = client

    def __call__(self, method, path, key=ADMIN, **options):
        headers = {} if key is None else {"x-api-key": key}
        headers |= options.pop("headers", {})
        return self._client.open(path, method=method, headers=headers, **options)

    def create(self, **parameters):
        body = {"blobContainerName": "shop", "usageRelativePath": "t7/usage.csv", **parameters}
        return self("POST", "/api/models", json=body)

    def ranked(self, path, **options):
        """(item, score) pairs of a recommend call that must succeed."""
        answer = self(options.pop("method", "GET"), path, RECOMMEND, **options)
        assert answer.status_code == 200, answer.text
        return [(entry["recommendedItemId"], entry["score"]) for entry in answer.json]
