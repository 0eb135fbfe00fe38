"""The request log and the package's own messages: whole lines, bounded, never in the way."""

import json
import logging
import os
import time

import pytest

from seldon.operation import log
from seldon.operation.health import Readiness
from seldon.operation.metrics import LOST_LINES


def lines(descriptor):
    return [json.loads(line) for line in os.read(descriptor, 2**20).decode().split("\n")[:-1]]


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def lost():
    return LOST_LINES._value.get()


def test_row_09_one_line_an_event_whatever_is_in_it(pipe):
    reader, writer = pipe
    requests = log.RequestLog(writer)
    evil = "a\nb\x1b[31m\r\0\u2028" + "x" * 1000
    requests.write({"event": "recommend", "client": evil, "status": 200, "query": "q" * 5000})
    requests.write({"client": "\ud800"})
    requests.flush()
    first, second = lines(reader)
    assert first["client"] == evil[:256]
    assert first["query"] == "q" * 5000  # whole, for replaying
    assert "ud800" in second["client"]


def test_row_61_what_nobody_reads_is_dropped_and_counted(pipe, monkeypatch):
    """The pipe is full: writing returns at once, and old lines are not overtaken."""
    monkeypatch.setattr(log, "WAITING_LINES", 50)
    reader, writer = pipe
    requests = log.RequestLog(writer)
    before = lost()
    started = time.monotonic()
    for n in range(2000):
        requests.write({"n": n, "text": "x" * 250})
    assert time.monotonic() - started < 10
    assert lost() > before
    received = []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (not received or requests._lines):
        received += lines(reader)
        time.sleep(0.05)
    numbers = [line["n"] for line in received]
    assert numbers == sorted(numbers)
    assert numbers[0] == 0


def test_row_61_a_sink_that_is_gone_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    requests = log.RequestLog(writer)
    before = lost()
    requests.write({"n": 1})
    requests.flush()
    os.close(writer)
    assert lost() == before + 1


def test_messages_of_the_package_are_json_too(pipe, monkeypatch):
    reader, writer = pipe
    handler = log._JsonLines()
    monkeypatch.setattr(handler._log, "_descriptor", writer)
    logger = logging.Logger("seldon.test")
    logger.addHandler(handler)
    try:
        raise KeyError("cause\nof it")
    except KeyError as error:
        logger.error("it %s", "failed", exc_info=error)
    handler._log.flush()
    (line,) = lines(reader)
    assert (line["level"], line["event"], line["logger"]) == ("ERROR", "it failed", "seldon.test")
    assert "KeyError" in line["traceback"]


def test_row_59_ready_only_when_every_check_says_so(monkeypatch):
    readiness = Readiness()
    assert readiness.report()[0]
    state = {"ok": True, "loaded": "a"}
    readiness.add("algorithms", lambda: state)
    assert readiness.report() == (
        True,
        {"ready": True, "draining": False, "checks": {"algorithms": state}},
    )
    state["ok"] = False
    assert not readiness.report()[0]
    state["ok"] = True
    monkeypatch.setattr("seldon.operation.health._draining", True)
    ready, document = readiness.report()
    assert (ready, document["draining"]) == (False, True)
