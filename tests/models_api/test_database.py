import sqlite3
import threading
import time

import pytest

from seldon.errors import InvalidSetting, RegistryUnavailable
from seldon.models_api.database import Database
from seldon.models_api.registry import ModelRegistry
from tests.models_api.conftest import PARAMETERS


def test_two_processes_may_open_it_at_once(database):
    failures = []

    def open_it():
        try:
            Database(database).close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def test_row_45_a_newer_schema_is_refused(opened, database):
    import sqlalchemy as sa

    with opened.begin() as connection:
        connection.execute(sa.text("UPDATE facts SET value = '99' WHERE name = 'schema'"))
    with pytest.raises(InvalidSetting, match="has schema '99', this version knows '1'"):
        Database(database)


@pytest.mark.parametrize("damage", ["not a database", "flipped"])
def test_row_45_a_corrupt_file_is_a_clear_start_error(tmp_path, damage):
    path = tmp_path / "registry.sqlite"
    if damage == "flipped":
        registry = ModelRegistry(Database(f"sqlite:///{path}"))
        for _ in range(200):
            registry.create(PARAMETERS, "x" * 200)
        registry.close()
        data = bytearray(path.read_bytes())
        data[4096 * 3 : 4096 * 8] = b"\xa5" * (4096 * 5)
        path.write_bytes(data)
    else:
        path.write_bytes(b"this is no database " * 500)
    with pytest.raises(InvalidSetting, match=r"is no usable registry: .*restore it from a copy"):
        Database(f"sqlite:///{path}")


@pytest.mark.slow
def test_row_45_a_locked_file_is_waited_for_and_then_reported(tmp_path):
    path = tmp_path / "registry.sqlite"
    registry = ModelRegistry(Database(f"sqlite:///{path}"))
    model = registry.create(PARAMETERS, None)
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    started_at = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="locked"):
        registry.create(PARAMETERS, None)
    assert 4 < time.monotonic() - started_at < 60
    assert registry.get(model.id) is not None  # readers are not held up
    timer = threading.Timer(1, holder.execute, ["COMMIT"])
    timer.start()
    assert registry.create(PARAMETERS, None).id
    timer.join()
    holder.close()
    registry.close()


def test_row_45_an_unreachable_database_is_reported_without_its_password():
    with pytest.raises(RegistryUnavailable) as caught:
        Database("postgresql://seldon:sesame@127.0.0.1:9/nothing")
    assert "sesame" not in str(caught.value) and "127.0.0.1:9" in str(caught.value)
