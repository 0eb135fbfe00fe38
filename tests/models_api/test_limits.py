"""Row 54 of the faults: brute force and floods get 429 with Retry-After."""

import json
import os
import time
from http.client import HTTPConnection

import pytest

from seldon.errors import InvalidSetting
from seldon.models_api.gate import caller
from seldon.models_api.keys import ApiKeys
from seldon.models_api.limits import CallLimits
from tests.models_api.conftest import ADMIN, RECOMMEND
from tests.services.processes import gunicorn

KEYS = ApiKeys(admin=["admin"], recommend=["recommend"])
KEY = KEYS.find("recommend")


@pytest.fixture
def limits(tmp_path):
    """Limits over one file, all at the time `limits.now`."""

    class Made:
        now = 1_000_000.0

        def __call__(self, per_key=600, per_address=6, secret=b"secret"):
            return CallLimits(
                tmp_path / ".calls",
                secret,
                per_key=per_key,
                per_address=per_address,
                clock=lambda: self.now,
            )

    return Made()


def admitted(limits, address, key, calls=1000):
    return sum(not limits.wait(address, key) for _ in range(calls))


def test_a_key_has_its_calls_a_minute_at_once_or_spread(limits):
    ours = limits()
    assert admitted(ours, "a", KEY) == 600
    assert ours.wait("a", KEY) == pytest.approx(0.1)
    limits.now += 1
    assert admitted(ours, "b", KEY) == 10
    limits.now += 3600
    assert admitted(ours, "a", KEY) == 600


def test_keys_and_addresses_have_allowances_of_their_own(limits):
    ours = limits()
    assert admitted(ours, "a", None) == 6
    assert admitted(ours, "b", None) == 6
    assert admitted(ours, "c", KEY) == 600
    assert admitted(ours, "c", KEYS.find("admin")) == 600


def test_all_processes_count_together(limits):
    one, other = limits(), limits()
    assert admitted(one, "a", KEY, 400) + admitted(other, "a", KEY) == 600


def test_zero_is_no_limit(limits):
    ours = limits(per_key=0, per_address=0)
    assert admitted(ours, "a", None) == admitted(ours, "a", KEY) == 1000


def test_a_right_guess_does_not_end_the_wait_of_who_guessed(limits):
    ours = limits()
    assert admitted(ours, "guesser", None) == 6
    assert ours.wait("guesser", KEY) == pytest.approx(10)
    limits.now += 10
    assert ours.wait("guesser", KEY) == 0


def test_who_has_used_a_key_is_not_locked_out_by_guesses_from_the_same_address(limits):
    ours = limits()
    assert ours.wait("proxy", KEY) == 0
    assert admitted(ours, "proxy", None) == 6
    assert ours.wait("proxy", KEY) == 0
    limits.now += 3601  # long silence; and the guesses go on
    assert admitted(ours, "proxy", None) == 6
    assert ours.wait("proxy", KEY) > 0


def test_a_clock_set_back_or_nonsense_in_the_file_locks_nobody_out(limits, tmp_path):
    ours = limits()
    admitted(ours, "a", KEY)
    limits.now -= 86_400
    assert ours.wait("a", KEY) == 0
    (tmp_path / ".calls").write_bytes(os.urandom(8) * 8192)
    assert limits().wait("a", KEY) == 0
    (tmp_path / ".calls").write_bytes(b"\xff" * 65_536)  # NaN
    assert limits().wait("a", KEY) == 0


def test_a_file_that_cannot_be_used_is_a_clear_start_error(limits, tmp_path):
    (tmp_path / ".calls").mkdir()
    with pytest.raises(InvalidSetting, match=r"MODELS_ROOT: .*\.calls, where calls are counted"):
        limits()


def test_memory_does_not_grow_with_addresses(limits, tmp_path):
    ours = limits()
    for number in range(20_000):
        ours.wait(str(number), None)
    assert (tmp_path / ".calls").stat().st_size == 65_536
    assert ours._place.cache_info().currsize <= 8192


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"REMOTE_ADDR": "192.0.2.7"}, "192.0.2.7"),
        ({"REMOTE_ADDR": "192.0.2.7", "HTTP_X_FORWARDED_FOR": "1.2.3.4"}, "192.0.2.7"),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "6.6.6.6, 1.2.3.4"}, "1.2.3.4"),
        ({"REMOTE_ADDR": "", "HTTP_X_FORWARDED_FOR": "1.2.3.4"}, "1.2.3.4"),  # a unix socket
        ({"REMOTE_ADDR": "::1", "HTTP_X_FORWARDED_FOR": "x" * 1000}, "x" * 64),
        ({"REMOTE_ADDR": "127.0.0.1"}, "127.0.0.1"),
        ({"REMOTE_ADDR": "2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::/64"),
        ({}, ""),
    ],
)
def test_callers(environ, expected):
    assert caller(environ) == expected


@pytest.fixture
def stopped_clock(monkeypatch):
    """No allowance comes back, however slow the machine is."""
    monkeypatch.setitem(CallLimits.__init__.__kwdefaults__, "clock", lambda: 1_000_000.0)


@pytest.mark.parametrize(
    "settings",
    [{"MODELS_CALLS_PER_MINUTE": 5, "MODELS_REFUSALS_PER_MINUTE": 3}],
    indirect=True,
)
def test_row_54_over_http(stopped_clock, client):
    statuses = [client("GET", "/api/models", key=f"guess-{n}").status_code for n in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    answer = client("GET", "/api/models", key=ADMIN)  # also a right guess waits
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "20")
    assert list(answer.json) == ["Message"]
    elsewhere = {"environ_overrides": {"REMOTE_ADDR": "192.0.2.1"}}
    statuses = [
        client("GET", "/api/models/default/recommend?itemId=A", RECOMMEND, **elsewhere).status_code
        for _ in range(7)
    ]
    assert statuses == [404] * 5 + [429] * 2
    assert client("GET", "/api/models", ADMIN, **elsewhere).status_code == 200
    assert client("PATCH", "/api/models", key=None).status_code == 405  # the path comes first
    for path in ("/healthz", "/readyz", "/metrics", "/swagger/"):
        assert {client("GET", path, key=None).status_code for _ in range(10)} == {200}


@pytest.mark.parametrize("settings", [{"MODELS_REFUSALS_PER_MINUTE": 2}], indirect=True)
def test_row_54_guesses_at_the_page(stopped_clock, app):
    browser = app.test_client()
    keys = ["guess-1", RECOMMEND, "guess-2", "guess-3", ADMIN]
    answers = [browser.post("/models/login", data={"key": key}) for key in keys]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert "Too many wrong keys" in answers[3].text and "Retry-After" in answers[3].headers
    assert browser.get("/models/login").status_code == 200


@pytest.mark.service
def test_row_54_under_two_workers(tmp_path):
    environ = {
        "SELDON_API_KEYS": json.dumps({"admin": [ADMIN], "recommend": []}),
        "SELDON_MODELS_ROOT": f"{tmp_path}/models",
        "SELDON_MODELS_INPUT_ROOT": f"{tmp_path}/inputs",
        "SELDON_MODELS_REFUSALS_PER_MINUTE": "20",
        "SELDON_START_TRAINER": "false",
    }
    with gunicorn("recommender:app", "-w", "2", log=tmp_path / "log", env=environ) as (_, port):
        started = time.monotonic()
        statuses = [status(port, "/api/models") for _ in range(60)]
        refilled = (time.monotonic() - started) / 3
        assert 20 <= statuses.count(401) <= 21 + refilled
        assert statuses.count(401) + statuses.count(429) == 60
        assert status(port, "/healthz") == 200


def status(port, path):
    """What a new connection is answered, and so either worker."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"x-api-key": "guess"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status
