"""Clients that are slow, hostile, or hold on: none of them costs another its answer."""

import json
import re
import socket
import struct
import time
from contextlib import ExitStack

import pytest

from tests.services.deployment import (
    CALL,
    Load,
    deploy,
    eventually,
    exchange,
    get,
    request,
    resident_bytes,
    serving,
)

pytestmark = [pytest.mark.service, pytest.mark.slow]
OWN = """
def catalogue():
    return range(100)
def get_recommendations(user_id, client, recent, data_set, limit):
    return {item: item for item in data_set}
"""
PATH = f"{CALL}&limit=5"
LINE = f"GET {PATH} HTTP/1.1\r\n".encode()
HEAD = LINE + b"Host: x\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    config = 'RECOMMENDER_ALG = "own"\nALGORITHM_BUDGET_MS = 9000'  # no machine is so busy
    folder = deploy(tmp_path_factory.mktemp("service"), config, own=OWN)
    with serving(folder) as service:
        yield service


@pytest.fixture(autouse=True)
def still_serves(service):
    """Whatever a test did: the same workers, and the next request is right."""
    before, said = service.workers(), len(service.text())
    yield
    assert service.get(PATH).items() == [99, 98, 97, 96, 95]
    assert service.workers() == before
    assert "Traceback" not in service.text()[said:]


def connect(port):
    return socket.create_connection(("127.0.0.1", port), 30)


def statuses(received):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", received)]


@pytest.mark.parametrize(
    ("number", "status"), [(500, 200), (5_000, 200), (6_500, 200), (20_000, 414), (300_000, 414)]
)
def test_row_04_long_exclusions(service, number, status):
    """In an address up to 64 kB, in a body up to 1 MiB."""
    ids = ",".join(str(1_000_000 + n) for n in range(number))
    address = f"{PATH}&exclusion_items={ids}".replace("exclusion_items=&", "")
    received = exchange(
        service.port,
        f"GET {address} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(),
    )
    assert statuses(received) == [status]
    fields = {"client": "a", "user_id": 1, "limit": 5, "exclusion_items": ids}
    answer = request(
        service.port,
        "POST",
        "/recommend",
        json.dumps(fields),
        {"Content-Type": "application/json"},
    )
    assert answer.status == (200 if number < 100_000 else 413)


def test_row_06_a_large_body_is_refused_before_it_is_sent(service):
    """50 MB announced: no memory for it, no wait for it."""
    before = [resident_bytes(pid) for pid in service.workers()]
    for head in (
        b"Content-Length: 52428800\r\n",
        b"Content-Length: " + b"9" * 5000 + b"\r\n",
        b"Content-Length: 52428800\r\nExpect: 100-continue\r\n",
    ):
        started = time.monotonic()
        received = exchange(
            service.port,
            b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%b\r\n"
            % head,
        )
        assert statuses(received) == [413]
        assert time.monotonic() - started < 8  # not after waiting for it
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    received = exchange(
        service.port,
        b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 800,
    )
    assert statuses(received) in ([413], [])  # [] when it closed before all was sent
    after = [resident_bytes(pid) for pid in service.workers()]
    assert max(b - a for a, b in zip(before, after, strict=True)) < 20 * 2**20


def test_chunked_and_continued_bodies_are_read(service):
    body = b'{"client":"a","user_id":1,"limit":2}'
    head = b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    chunks = b"".join(b"1\r\n%b\r\n" % body[n : n + 1] for n in range(len(body)))
    for ending in (b"0\r\n\r\n", b"0;x=y\r\nX-Checksum: z\r\n\r\n"):
        received = exchange(
            service.port,
            head + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + ending,
        )
        assert statuses(received) == [200]
        assert received.count(b'"item"') == 2
    with connect(service.port) as client:
        client.sendall(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        received = b""
        while received.count(b'"item"') < 2:
            received += client.recv(1000)
        assert statuses(received) == [200]


@pytest.mark.parametrize(
    "body",
    [
        b"1\r\nabc\r\n0\r\n\r\n",
        b"1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n",
        b"5\r\nab\r\n0\r\n\r\n",
    ],
)
def test_row_11_a_chunked_body_that_is_none(service, body):
    head = b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    received = exchange(service.port, head + b"Transfer-Encoding: chunked\r\n\r\n" + body, 3)
    assert statuses(received) in ([400], [])


def test_requests_one_byte_at_a_time_and_several_at_once(service):
    whole = HEAD + b"\r\n"
    with connect(service.port) as client:
        for n in range(len(whole)):
            client.sendall(whole[n : n + 1])
        assert statuses(client.recv(65_536)) == [200]
        last = HEAD + b"Connection: close\r\n\r\n"
        client.sendall(whole * 4 + last)
        received = b""
        while more := client.recv(65_536):
            received += more
        assert statuses(received) == [200] * 5


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        HEAD + b"Content-Length: 5, 5\r\n\r\nhello",
        HEAD + b"Content-Length: +5\r\n\r\nhello",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 0x5\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HEAD,
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + HEAD,
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer_Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
        HEAD + b"A: b\r\n folded: c\r\n\r\n",
        HEAD + b"A : b\r\n\r\n",
        HEAD + b"A\0: b\r\n\r\n",
        HEAD + b"A: b\0c\r\n\r\n",
        HEAD + b"A: b\rc\r\n\r\n",
        HEAD + b": b\r\n\r\n",
        HEAD + b"no colon\r\n\r\n",
        b"GET  /recommend HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /recommend\r\nHost: x\r\n\r\n",
        b"GET /recommend HTTP/9.9\r\nHost: x\r\n\r\n",
        b"G\0T /recommend HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
    ],
)
def test_row_11_what_another_server_might_read_otherwise(service, sent):
    """Refused, or read as one request and closed: never two answers, so nothing is smuggled."""
    received = exchange(service.port, sent + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", 15)
    assert b"404" not in received
    told = statuses(received)
    assert told in ([400], [501], []), received
    assert b"Traceback" not in received


def test_row_11_two_hosts_are_refused_or_harmless(service):
    received = exchange(service.port, HEAD + b"Host: y\r\nConnection: close\r\n\r\n")
    assert len(statuses(received)) == 1
    assert statuses(received)[0] in (200, 400)


@pytest.mark.parametrize("head", [b"A: " + b"x" * 200_000, b"A: b\r\n" * 30_000])
def test_row_11_a_head_without_end(service, head):
    received = exchange(service.port, HEAD + head)
    assert statuses(received) in ([431], [400], [])


def test_row_12_slow_and_idle_clients_hold_nobody_up(service):
    """200 of them: half a line, half a head, half a body, nothing at all."""
    with Load(service.port, PATH) as quiet:
        time.sleep(1.5)
    begun = [LINE[:9], HEAD, HEAD + b"Content-Length: 500\r\n\r\n{", b""]
    with ExitStack() as stack:
        slow = []
        for n in range(200):
            client = stack.enter_context(connect(service.port))
            client.sendall(begun[n % len(begun)])
            slow.append(client)
        with Load(service.port, PATH) as load:
            for _ in range(15):
                for client in slow[::2]:
                    with_body = b"x"  # a byte now and then
                    try:
                        client.sendall(with_body)
                    except OSError:
                        break
                time.sleep(0.1)
    assert load.errors == []
    assert set(load.statuses()) == {200}
    assert load.quantile(0.5) < quiet.quantile(0.5) * 5 + 0.1
    assert load.quantile(0.99) < quiet.quantile(0.99) * 5 + 1


def test_twenty_clients_holding_their_sockets_change_nothing_for_the_others(service):
    """After any answer, also an error, also asked to close: gunicorn's own workers linger."""
    endings = [b"\r\n", b"Connection: close\r\n\r\n"]
    wrong = f"GET {CALL}&limit=0 HTTP/1.1\r\nHost: x\r\n".encode()
    with Load(service.port, PATH) as alone:
        time.sleep(1.5)
    with ExitStack() as stack:

        def hold(n):
            client = stack.enter_context(connect(service.port))
            client.sendall([HEAD, wrong][n % 2] + endings[n // 2 % 2])
            assert statuses(client.recv(65_536)) == [[200], [400]][n % 2]

        for n in range(20):
            hold(n)
        with Load(service.port, PATH) as load:
            for n in range(30):
                hold(n)
                time.sleep(0.05)
    assert load.errors == []
    assert set(load.statuses()) == {200}
    # Where a worker lingers for 2 s, nearly every request does.
    assert load.quantile(0.5) < alone.quantile(0.5) * 5 + 0.1
    assert load.quantile(0.99) < alone.quantile(0.99) * 5 + 1


def test_row_13_clients_that_are_gone_before_their_answer(service):
    """Reset, closed, and one that never reads."""
    for n in range(60):
        client = connect(service.port)
        client.sendall(HEAD + b"\r\n")
        if n % 2:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    before = service.metric("recommender_client_gone_total")
    with connect(service.port) as client:
        client.setblocking(False)
        sent = 0
        try:
            while sent < 50_000_000:  # requests, and none of the answers is read
                sent += client.send((HEAD + b"\r\n") * 200)
        except BlockingIOError:
            pass
        time.sleep(0.5)
        assert get(service.port, PATH).status == 200
    eventually(lambda: service.metric("recommender_client_gone_total") > before)
    assert max(resident_bytes(pid) for pid in service.workers()) < 400 * 2**20


def test_row_08_nothing_that_is_echoed_becomes_a_header(service):
    for evil in ("a%0d%0aX-Evil:%201", "a%0aX-Evil:%201", "%00", "%e2%80%a8"):
        for parameter in ("client", "user_id", "limit", "data_key", "exclusion_items"):
            answer = service.get(f"/recommend?{parameter}={evil}&{PATH.partition('?')[2]}")
            assert "X-Evil" not in answer.headers
            assert answer.status in (200, 400)


def test_row_09_nothing_that_is_sent_becomes_a_log_line(service):
    """Newlines, terminal escapes and a long name stay inside one JSON text, cut at 256."""
    for n, client in enumerate(("a%0a{%22event%22:1}", "%1b[31mred%0d", "x" * 200, "%F0%9F%A6%86")):
        query = f"client={client}&user_id=1&limit=5"
        service.get(f"/recommend?{query}", **{"X-Request-Id": f"log-{n}"})
    long = request(
        service.port,
        "POST",
        "/recommend",
        json.dumps({"client": "y" * 1_000_000, "user_id": 1, "limit": 1}),
        {"Content-Type": "application/json", "X-Request-Id": "log-long"},
    )
    assert long.status == 400
    assert len(long.body) < 1000
    service.get("/%0a%1b[31m?client=%0a", **{"X-Request-Id": "log-path"})
    # Each worker writes its lines a tenth of a second later, on its own.
    eventually(lambda: all(f'"log-{n}"' in service.text() for n in (0, 1, 2, 3, "long", "path")))
    assert "\x1b" not in service.text()
    lines = [json.loads(line) for line in service.text().split("\n") if line.startswith("{")]
    mine = {
        line["request_id"]: line for line in lines if str(line.get("request_id")).startswith("log-")
    }
    assert set(mine) == {"log-0", "log-1", "log-2", "log-3", "log-long", "log-path"}
    assert mine["log-0"]["client"] == 'a\n{"event":1}'
    assert mine["log-3"]["client"] == "🦆"
    assert all(len(str(value)) <= 300 for line in mine.values() for value in line.values())


def test_row_10_metrics_do_not_grow_with_what_callers_send(service):
    """10,000 clients, paths and agents."""
    connection = socket.create_connection(("127.0.0.1", service.port), 30)
    with connection:
        for n in range(0, 10_000, 100):
            connection.sendall(
                b"".join(
                    b"GET /recommend?client=c%d&user_id=%d&limit=1 HTTP/1.1\r\nHost: h%d\r\n"
                    b"User-Agent: a%d\r\n\r\nGET /p%d HTTP/1.1\r\nHost: x\r\n\r\n"
                    % (n + k, n + k, n + k, n + k, n + k)
                    for k in range(25)
                )
            )
            received = b""
            while received.count(b"HTTP/1.1 ") < 50:
                received += connection.recv(65_536)
    for method in ("BREW", "PUT", "FOO"):
        request(service.port, method, "/recommend")
    text = service.get("/metrics").body
    assert len(text) < 200_000
    assert b"c100" not in text
    assert b"/p100" not in text
    assert service.metric("recommender_requests_total") >= 5000
