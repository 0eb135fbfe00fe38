from __future__ import annotations

import pytest

from seldon.models_api.registry import ModelRegistry
from tests.services.postgresql import missing, postgresql


@pytest.fixture(scope="session")
def postgresql_url():
    if missing():
        pytest.skip(missing())
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def database(request, tmp_path):
    """URL of an empty database: every test that uses it runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.sqlite'}"
    import sqlalchemy as sa

    url = request.getfixturevalue("postgresql_url")
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS models, facts"))
    engine.dispose()
    return url


@pytest.fixture
def registry(database):
    registry = ModelRegistry(database)
    yield registry
    registry.close()
