"""The shipped nginx in front of the shipped service: what it keeps away, what it lets through."""

import contextlib
import http.client
import json
import socket
import subprocess
import time

import pytest

from tests.services.nginx import command, configuration, nginx
from tests.services.processes import free_port, gunicorn

pytestmark = pytest.mark.service
LIST = json.dumps({"client": "test1", "user_id": 1, "limit": 3, "candidates": list(range(1, 50))})


@pytest.fixture(scope="module")
def ports(tmp_path_factory):
    """Of nginx, and of the service behind it."""
    folder = tmp_path_factory.mktemp("nginx")
    environment = {"GUNICORN_CMD_ARGS": "--workers 1", "SELDON_RECOMMENDER_ALG": "example_alg"}
    with (
        gunicorn("recommender:app", log=folder / "gunicorn.log", env=environment) as (_, service),
        nginx(folder, service) as port,
    ):
        yield port, service


def test_the_shipped_configuration_is_valid(tmp_path):
    path = configuration(tmp_path, free_port(), free_port())
    done = subprocess.run(command(path, "-t"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "test is successful" in done.stderr and "[warn]" not in done.stderr


def ask(port, method="POST", path="/recommend", body=LIST, timeout=20, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        kind = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, body, {**kind, **headers})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_a_request_goes_through(ports):
    status, headers, body = ask(ports[0])
    assert status == 200
    assert len(json.loads(body)["recommended"]) == 3
    assert len(headers["X-Request-Id"]) == 32  # nginx made one

    status, headers, _ = ask(ports[0], **{"X-Request-Id": "mine-1"})
    assert (status, headers["X-Request-Id"]) == (200, "mine-1")


def test_row_04_long_lists_pass_as_far_as_the_service_takes_them(ports):
    def get(number):
        excluded = "%2C".join(["1234567"] * number)
        path = f"/recommend?client=a&user_id=1&limit=3&exclusion_items={excluded}"
        return len(path), ask(ports[0], "GET", path, None)

    length, (status, _, _) = get(6_500)
    assert length > 60_000 and status == 200
    length, (status, headers, _) = get(6_800)
    assert 65_536 < length < 72_000
    assert status == 414 and headers["Content-Type"] == "application/problem+json"
    length, (status, _, _) = get(8_000)
    assert length > 72 * 1024 and status == 414  # nginx's own


def test_row_04_long_bodies(ports):
    document = json.loads(LIST)
    document["candidates"] = list(range(1_000_000, 1_120_000))
    body = json.dumps(document, separators=(",", ":"))
    assert 900_000 < len(body) < 2**20
    assert ask(ports[0], body=body)[0] == 200
    assert ask(ports[0], body=" " * (2**20 + 1))[0] == 413


def test_metrics_are_not_for_everybody(ports):
    assert ask(ports[0], "GET", "/metrics", None)[0] == 404
    assert ask(ports[1], "GET", "/metrics", None)[0] == 200
    assert ask(ports[0], "GET", "/healthz", None)[0] == 200


POST = b"POST /recommend HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
INNER = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n" + INNER,
        b"GET /recommend HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        CHUNKED + b"\r\nzz\r\n\r\n",
        CHUNKED + b"\r\n-1\r\n\r\n" + INNER,
        CHUNKED + b"\r\n0x0\r\n\r\n" + INNER,
        CHUNKED + b"\r\n0_0\r\n\r\n" + INNER,
        b"GET /recommend HTTP/1.1\r\nHost : a\r\n\r\n",
    ],
    ids=["two lengths", "two hosts", "zz", "-1", "0x0", "0_0", "blank in a name"],
)
def test_row_11_nothing_is_smuggled(ports, sent):
    for port in ports:
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(sent)
            answers = b""
            while part := client.recv(65536):
                answers += part
        assert answers.startswith(b"HTTP/1.1 400") and answers.count(b"HTTP/1.1 ") == 1


@pytest.mark.slow
def test_row_12_slow_and_idle_clients_hold_nobody_up(ports):
    """200 half heads, half bodies and silent connections, and a normal request is as quick."""
    port = ports[0]
    halves = [
        b"",
        b"GET /recommend?client=a&user_id=1&limit=3 HTTP/1.1\r\nHost: a\r\nX-Sl",
        b"POST /recommend HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b'Content-Length: 500\r\n\r\n{"client": "te',
    ]
    slow = []
    try:
        for number in range(200):
            client = socket.create_connection(("127.0.0.1", port), 10)
            client.sendall(halves[number % len(halves)])
            slow.append(client)
        times = []
        for _ in range(50):
            began = time.perf_counter()
            assert ask(port, timeout=5)[0] == 200
            times.append(time.perf_counter() - began)
        assert sorted(times)[len(times) // 2] < 1
        # Who has not sent a whole request in time is let go.
        dropped = [client for number, client in enumerate(slow) if number % len(halves)]
        for client in dropped:
            client.settimeout(20)
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(65536) == b""
    finally:
        for client in slow:
            client.close()
