"""Signals, dead workers, restarts, overload: what an operator does and what befalls a machine."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.memcache.values import put_ids
from tests.services.deployment import (
    CALL,
    Load,
    deploy,
    eventually,
    exchange,
    get,
    resident_bytes,
    serving,
)
from tests.services.processes import ROOT, free_port, freeze, memcached

pytestmark = [pytest.mark.service, pytest.mark.slow]
OWN = """
import time
def catalogue():
    return range(100)
def get_recommendations(user_id, client, recent, data_set, limit):
    if client.startswith("slow"):
        time.sleep(float(client[4:]))
    return {item: item for item in data_set}
"""
# Budgets no machine is too busy for.
CONFIG = 'RECOMMENDER_ALG = "own"\nALGORITHM_BUDGET_MS = 9000\nCACHE_BUDGET_MS = 9000\n'
PATH = f"{CALL}&limit=5"
SLOW = PATH.replace("test1", "slow{}")
GUNICORN = [sys.executable, "-m", "gunicorn", "-b"]
SOAK_SECONDS = float(os.environ.get("SOAK_SECONDS", "15"))


@pytest.fixture
def folder(tmp_path):
    return deploy(tmp_path, CONFIG, own=OWN)


def is_ready(service):
    return service.get("/readyz").status == 200


def test_row_55_sigterm_under_load_loses_nothing(folder):
    """Readiness says 503 first; what is under way, and what comes meanwhile, is answered."""
    with serving(folder, DRAIN_SECONDS="4") as service:
        slow = []
        asks = [
            threading.Thread(target=lambda: slow.append(get(service.port, SLOW.format(1.5))))
            for _ in range(2)
        ]
        with Load(service.port, PATH) as load:
            time.sleep(0.5)
            for ask in asks:
                ask.start()
            time.sleep(0.3)
            service.process.terminate()
            draining = eventually(lambda: service.get("/readyz").status == 503, 10)
            load.stop()
        for ask in asks:
            ask.join()
        assert draining
        assert load.errors == []
        assert set(load.statuses()) == {200}
        assert [answer.status for answer in slow] == [200, 200]
        assert service.process.wait(30) == 0


def test_row_56_reloads_under_load_lose_nothing(folder):
    """SIGHUP three times; then with settings and an algorithm that do not work."""
    config = folder / "recommender_config.py"
    with serving(folder) as service:
        with Load(service.port, PATH, clients=2) as load:
            for _ in range(3):
                before = set(service.workers())
                service.process.send_signal(signal.SIGHUP)
                eventually(lambda old=before: not old & set(service.workers()))
            before = service.workers()
            for broken in (
                'RECOMENDER_ALG = "own"',
                'RECOMMENDER_ALG = "broken"',
                "syntax error",
            ):
                config.write_text(broken)
                (folder / "algs" / "broken.py").write_text("import not_installed")
                said = service.text().count("the old workers stay")
                service.process.send_signal(signal.SIGHUP)
                eventually(lambda n=said: service.text().count("the old workers stay") > n)
                assert service.workers() == before
            config.write_text(CONFIG.replace("own", "other"))
            (folder / "algs" / "other.py").write_text(OWN.replace("item: item", "item: -item"))
            service.process.send_signal(signal.SIGHUP)
            eventually(lambda: service.get(PATH).items() == [0, 1, 2, 3, 4])
            eventually(lambda: not set(before) & set(service.workers()))
        assert load.errors == []
        assert set(load.statuses()) == {200}
        assert "did you mean 'RECOMMENDER_ALG'" in service.text()
        assert "not_installed" in service.text()


def test_row_56_a_worker_replaced_while_the_settings_are_broken(folder):
    """The others serve on, the service does not stop, and it heals without a reload."""
    with serving(folder) as service:
        (folder / "recommender_config.py").write_text("RECOMENDER_ALG = 1")
        victim, other = service.workers()
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: "no setting 'RECOMENDER_ALG'" in service.text())
        time.sleep(1.5)
        for _ in range(20):
            assert service.get(PATH).status == 200
        assert other in service.workers()
        (folder / "recommender_config.py").write_text(CONFIG)
        eventually(lambda: service.text().count("Booting worker") > 3 and stable(service))


def stable(service):
    """The same two workers for longer than a broken one lives."""
    before = service.workers()
    time.sleep(2.5)
    return len(before) == 2 and service.workers() == before


def test_row_57_a_killed_worker_and_a_hanging_one_are_replaced(folder):
    with serving(folder, "--timeout", "3") as service:
        with Load(service.port, PATH, clients=2) as load:
            for _ in range(3):
                victim = service.workers()[0]
                os.kill(victim, signal.SIGKILL)
                eventually(lambda pid=victim: pid not in service.workers())
                eventually(lambda: len(service.workers()) == 2)
        # Only a request that was in the killed worker is lost: one a client at most, each time.
        assert len(load.errors) <= 6
        assert set(load.statuses()) == {200}
        hanging = service.workers()[0]
        freeze(hanging)
        answered = 0
        deadline = time.monotonic() + 30
        while hanging in service.workers() and time.monotonic() < deadline:
            client = socket.create_connection(("127.0.0.1", service.port), 10)
            with client:
                client.settimeout(0.5)
                client.sendall(f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                with contextlib.suppress(OSError):  # the hanging one has accepted it
                    answered += client.recv(65_536).startswith(b"HTTP/1.1 200")
        assert hanging not in service.workers()
        assert answered > 0
        eventually(lambda: len(service.workers()) == 2)
        assert service.get(PATH).status == 200


def test_row_58_overload_is_refused_at_once_and_passes(folder):
    """200 clients at a worker that serves 50 requests a second."""
    options = {"MAX_WAITING": "4"}
    with serving(folder, "-w", "1", **options) as service:
        with Load(service.port, SLOW.format(0.02), clients=2) as easy:
            time.sleep(1.5)
        with Load(service.port, SLOW.format(0.02), clients=60, pause=0) as load:
            time.sleep(3)
            started = time.monotonic()
            assert service.get("/healthz").status == 200
            assert time.monotonic() - started < 5
        assert load.errors == []
        counts = load.statuses()
        assert set(counts) == {200, 503}
        assert counts[503] > 10
        assert counts[200] / 3 > easy.statuses()[200] / 1.5 * 0.3
        assert service.metric("recommender_refused_total") == counts[503]
        refused = get(service.port, PATH)
        assert refused.status == 200  # it has passed


def test_row_58_a_refusal_says_when_to_come_back(folder):
    with serving(folder, "-w", "1", MAX_WAITING="1") as service:
        head = f"GET {SLOW.format(0.05)} HTTP/1.1\r\nHost: x\r\n".encode()
        received = exchange(
            service.port, (head + b"\r\n") * 3 + head + b"Connection: close\r\n\r\n", 3
        )
        assert received.count(b"HTTP/1.1 200") >= 1
        assert received.count(b"HTTP/1.1 503") >= 1
        assert b"Retry-After: 1\r\n" in received


def test_row_59_readiness_tells_the_truth(tmp_path):
    """While the algorithm loads nobody is told that it is ready, and nothing is raised."""
    slow = "import time\ndef init(mc, config):\n    time.sleep(2)\n" + OWN
    folder = deploy(tmp_path, CONFIG, own=slow)
    with serving(folder, wait=False) as service:
        with socket.create_connection(("127.0.0.1", service.port), 0.5) as client:
            client.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(TimeoutError):  # the port is open, but no worker is ready
                client.recv(100)
        ready = eventually(lambda: service.get("/readyz"))
        assert ready.status == 200
        document = ready.json()
        assert document["ready"] is True
        assert document["draining"] is False
        assert list(document["checks"]["algorithms"]["loaded"]) == ["own"]
        assert service.get(PATH).status == 200
        assert "Traceback" not in service.text()


def test_row_28_a_leak_shows_in_the_metrics(folder):
    code = (
        OWN.replace("    if client", "    kept.append(b'x' * 2**20)\n    if client") + "kept = []\n"
    )
    (folder / "algs" / "own.py").write_text(code)
    with serving(folder, "-w", "1") as service:
        before = eventually(lambda: service.metric("recommender_worker_resident_bytes"))
        for _ in range(60):
            assert service.get(PATH).status == 200
        grown = before + 50 * 2**20
        eventually(lambda: service.metric("recommender_worker_resident_bytes") > grown)


def test_row_60_counters_never_fall_over_restarts(folder):
    """Workers of a few requests each; the directory of metrics stays small."""
    metrics = folder / "metrics"
    command = ["--max-requests", "12", "--max-requests-jitter", "4"]
    with serving(folder, *command, DRAIN_SECONDS="0") as service:
        directory = next((folder / "tmp").glob("recommender-metrics-*"), metrics)
        last, answered, files = 0.0, 0, 0
        for _ in range(8):
            for _ in range(25):
                answered += eventually(lambda: service.get(PATH).status == 200)
            total = eventually(lambda: service.metric("recommender_requests_total"))
            assert total >= last
            last = total
            files = max(files, len(list(directory.iterdir())))
        eventually(lambda: service.metric("recommender_requests_total") >= answered)
        assert service.text().count("Booting worker") > 10
        assert files <= 2 * 6 + 6
        started = time.monotonic()
        assert service.get("/metrics").status == 200
        assert time.monotonic() - started < 5
    assert not directory.exists()


def test_row_60_files_of_two_hundred_workers_become_one(tmp_path):
    """Counts of dead workers are added up, whoever they were."""
    code = (
        "import os, sys\n"
        "from seldon.operation import metrics\n"
        "for n in range(200):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        metrics.count_request('/r', 'c', 200, 0.01); os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
        "    metrics.merge_dead_worker(pid)\n"
        "print(metrics.exposition().decode())\n"
    )
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    text = subprocess.check_output([sys.executable, "-c", code], env=environ, text=True)
    sample = 'recommender_requests_total{client="c",route="/r",status="200"} 200.0'
    assert sample in text
    assert 'recommender_request_seconds_count{route="/r"} 200.0' in text
    assert len(list(tmp_path.iterdir())) < 10


def test_row_61_logs_that_nobody_reads_hold_nobody_up(folder):
    """Neither standard output nor standard error of the service is read."""
    code = OWN + "    raise KeyError('x' * 500)\n"
    code = code.replace("    return {item: item for item in data_set}\n", "")
    (folder / "algs" / "raises.py").write_text(code)
    port = free_port()
    (folder / "recommender_config.py").write_text(
        'RECOMMENDER_ALG = ["raises", "own"]\nALGORITHM_BUDGET_MS = 9000'
    )
    process = subprocess.Popen(
        [*GUNICORN, f"127.0.0.1:{port}", "-w", "1", "recommender:app"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        eventually(lambda: get(port, "/healthz").status == 200)
        for _ in range(400):  # a pipe holds 64 kB, a line and a traceback 1 kB
            assert get(port, PATH).items() == [99, 98, 97, 96, 95]
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


def test_row_63_few_open_files(folder):
    """At most 64: it serves, and beyond the limit it waits instead of falling over."""
    with serving(folder, "-w", "1", under=["prlimit", "--nofile=64"]) as service:
        assert service.get(PATH).status == 200
        clients = []
        try:
            for _ in range(100):
                clients.append(socket.create_connection(("127.0.0.1", service.port), 10))
            time.sleep(0.5)
        finally:
            for client in clients:
                client.close()
        assert eventually(lambda: service.get(PATH).status == 200)
        assert len(service.workers()) == 1
        assert "raise the limit of open files" in service.text()


@pytest.mark.parametrize(
    ("config", "options", "env", "told"),
    [
        ('RECOMENDER_ALG = "own"', [], {}, "did you mean 'RECOMMENDER_ALG'?"),
        ('RECOMMENDER_ALG = "exemple_alg"', ["--preload"], {}, "did you mean 'example_alg'?"),
        ('RECOMMENDER_ALG = "fails"', [], {}, "fails.py: init(mc, config) raised KeyError: 'no mo"),
        ("MAX_CANDIDATES = 0", ["--preload"], {}, "MAX_CANDIDATES=0 is not an integer from 1"),
        ("", [], {"SELDON_MAX_WAITIN": "1"}, "$SELDON_MAX_WAITIN"),
        ("", [], {"PROMETHEUS_MULTIPROC_DIR": "/dev/null/x"}, "no directory for metrics"),
    ],
)
def test_row_63_a_start_that_fails_says_why_in_a_line(folder, config, options, env, told):
    """Row 29 too. It ends, and does not try again and again."""
    (folder / "recommender_config.py").write_text(config)
    failing = "def init(mc, config):\n    raise KeyError('no model')\n" + OWN
    (folder / "algs" / "fails.py").write_text(failing)
    ended = subprocess.run(
        [*GUNICORN, f"127.0.0.1:{free_port()}", *options, "recommender:app"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert ended.returncode != 0
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_row_63_a_port_that_is_taken(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = subprocess.run(
            [*GUNICORN, address, "recommender:app"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert ended.returncode != 0
    assert "in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_row_22_preload_is_safe(folder):
    """Loaded before the fork; every worker has connections of its own."""
    with memcached() as (_, port):
        for n in range(20):
            put_ids(port, f"k{n}", range(n * 10, n * 10 + 5))
        connecting = OWN + "def init(mc, config):\n    with mc.reserve() as c: c.get('k1')\n"
        (folder / "algs" / "own.py").write_text(connecting)
        servers = {"MEMCACHE__servers": f"127.0.0.1:{port}"}
        with serving(folder, "--preload", "-w", "3", **servers) as service:
            wrong = []

            def ask(seed):
                for call in range(150):
                    n = (call * 7 + seed) % 20
                    found = service.get(f"{PATH}&data_key=k{n}").items()
                    if sorted(found) != list(range(n * 10, n * 10 + 5)):
                        wrong.append((n, found))

            threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert wrong == []


def test_soak(folder):
    """Set SOAK_SECONDS=60 for a minute of it. Lists change all the time; nothing grows."""
    with memcached() as (_, port):
        put_ids(port, "soak", range(1000))
        servers = {"MEMCACHE__servers": f"127.0.0.1:{port}"}
        with serving(folder, **servers) as service:
            path = f"{PATH}&data_key=soak"
            with Load(service.port, path) as load:
                time.sleep(3)
                before = {pid: resident_bytes(pid) for pid in service.workers()}
                deadline = time.monotonic() + SOAK_SECONDS
                round_ = 0
                while time.monotonic() < deadline:
                    round_ += 1
                    put_ids(port, "soak", range(round_, round_ + 20_000))
                    assert service.get(path).items()[0] == round_ + 19_999
                    time.sleep(0.05)
            after = {pid: resident_bytes(pid) for pid in service.workers()}
        assert load.errors == []
        assert set(load.statuses()) == {200}
        assert set(after) == set(before)
        assert max(after[pid] - before[pid] for pid in before) < 50 * 2**20
        descriptors = Path(f"/proc/{service.process.pid}/fd")
        assert not descriptors.exists()
