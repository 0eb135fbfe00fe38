"""A promote reaches the workers of a running service, and no request is lost or mixed up."""

import http.client
import json
import threading
import time

import pytest

from seldon.sar.__main__ import main
from tests.services.processes import gunicorn


@pytest.fixture
def home(tmp_path):
    """A home with two models of the same events that answer differently; the first is current."""
    usage = tmp_path / "usage.csv"
    usage.write_text(
        "".join(
            f"{user},{item},2026-03-01T00:00:00\n"
            for user in range(40)
            for item in range(30)
            if (user * 7 + item * item) % (2 + item % 5) == 0
        )
    )
    for name, similarity in (("first", "Jaccard"), ("second", "Lift")):
        folder = str(tmp_path / name)
        arguments = ["--usage", str(usage), "--output", folder, "--similarity", similarity]
        assert main(["train", *arguments, "--support-threshold", "1"]) == 0
    assert (
        main(["promote", "--model", str(tmp_path / "first"), "--to", str(tmp_path / "home")]) == 0
    )
    return tmp_path / "home"


class Caller(threading.Thread):
    """Asks the same again and again over one kept connection."""

    def __init__(self, port):
        super().__init__()
        self.port = port
        self.answers = []
        self.failures = []
        self.stopping = threading.Event()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        path = "/recommend?client=shop&user_id=12345&limit=5&recent_interactions=3,4,12"
        while not self.stopping.is_set():
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
                continue
            if response.status == 200:
                version = response.headers["X-Recommender-Algorithm"]
                self.answers.append((version, json.dumps(json.loads(body)["recommended"])))
            else:
                self.failures.append((response.status, body))
            time.sleep(0.005)
        connection.close()

    def served(self):
        return self.answers[-1][0] if self.answers else None


def wait_for(callers, changed_from):
    deadline = time.monotonic() + 60
    while any(caller.served() in (None, changed_from) for caller in callers):
        assert time.monotonic() < deadline, f"still {changed_from}: {callers[0].failures[-3:]}"
        time.sleep(0.05)
    return callers[0].served()


@pytest.mark.service
@pytest.mark.slow
def test_promote_and_rollback_under_load(home, tmp_path):
    environment = {
        "SELDON_RECOMMENDER_ALG": "saved_recommender",
        "SELDON_RECOMMENDER_MODEL": str(home),
    }
    log = tmp_path / "gunicorn.log"
    with gunicorn("recommender:app", "--workers", "2", log=log, env=environment) as (_, port):
        callers = [Caller(port) for _ in range(3)]
        for caller in callers:
            caller.start()
        try:
            first = wait_for(callers, None)
            second_model = str(home.parent / "second")
            assert main(["promote", "--model", second_model, "--to", str(home)]) == 0
            second = wait_for(callers, first)
            assert main(["rollback", "--model", str(home)]) == 0
            assert wait_for(callers, second) == first
            again = str(home / "versions/2")
            assert main(["promote", "--model", again, "--to", str(home)]) == 0
            assert wait_for(callers, first) == second
        finally:
            for caller in callers:
                caller.stopping.set()
            for caller in callers:
                caller.join()
    assert [failure for caller in callers for failure in caller.failures] == []
    answers = {answer for caller in callers for answer in caller.answers}
    # Each version has one answer, and they differ: nothing was mixed.
    assert len(answers) == len({version for version, _ in answers}) == 2
    assert len({body for _, body in answers}) == 2
