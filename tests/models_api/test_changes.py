"""Answers of a SQLite file hold until somebody writes, and not a moment longer."""

import sqlite3
import threading

import pytest

from seldon.models_api.changes import SQLiteChanges


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "registry.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE models (id TEXT)")
    connection.close()
    return str(path)


def write(file, text):
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("INSERT INTO models VALUES (?)", (text,))
    connection.close()


def test_answers_hold_until_somebody_writes(file):
    changes = SQLiteChanges(file)
    changes.known_answers()["a"] = 1
    assert changes.known_answers() == {"a": 1}
    for text in "xyz":
        changes.known_answers()["a"] = 1
        write(file, text)
        assert changes.known_answers() == {}
    changes.close()


def test_each_thread_has_its_own(file):
    changes = SQLiteChanges(file)
    changes.known_answers()["a"] = 1
    seen = []

    def ask():
        seen.append(dict(changes.known_answers()))
        changes.close()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert seen == [{}]
    assert changes.known_answers() == {"a": 1}
    changes.close()


def test_nothing_holds_when_the_file_cannot_be_read(tmp_path):
    changes = SQLiteChanges(str(tmp_path / "none.sqlite"))
    changes.known_answers()["a"] = 1
    assert changes.known_answers() == {}
