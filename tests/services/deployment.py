"""A deployment in a test's folder, served by a real gunicorn, and clients small enough to trust."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.services.processes import ROOT, gunicorn

PATIENCE = 60.0  # generous: no machine is so busy
CALL = "/recommend?client=test1&user_id=1&recent_interactions=&dimensions=0&exclusion_items="


def deploy(folder: Path, config: str = "", **algorithms: str) -> Path:
    """What a checkout has beside the package: the service, its settings and algorithms."""
    for name in ("recommender.py", "gunicorn.conf.py"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "recommender_config.py").write_text(config)
    shutil.copytree(ROOT / "algs", folder / "algs", dirs_exist_ok=True)
    for name, code in algorithms.items():
        (folder / "algs" / f"{name}.py").write_text(code)
    (folder / "tmp").mkdir(exist_ok=True)
    return folder


@contextmanager
def serving(
    folder: Path, *options: str, wait: bool = True, under: Sequence[str] = (), **env: str
) -> Iterator[Service]:
    """`deploy`ed folder behind gunicorn; `env` are settings without their prefix."""
    settings = {f"SELDON_{name}": value for name, value in env.items()}
    log = folder / "service.log"
    with gunicorn(
        "recommender:app",
        *options,
        log=log,
        folder=folder,
        under=under,
        env={"PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp"), **settings},
    ) as (process, port):
        expected = int(options[options.index("-w") + 1]) if "-w" in options else 2
        service = Service(port, process, log, expected)
        if wait:
            service.wait()
        yield service


@dataclass
class Service:
    port: int
    process: object
    log: Path
    expected: int = 2  # workers

    def get(self, path: str, **headers: str) -> Answer:
        return get(self.port, path, **headers)

    def wait(self) -> None:
        """Until each worker has answered; an id of ours begins with that of its process."""
        answered = set()

        def all_have() -> bool:
            given_id = self.get("/healthz").headers["X-Request-Id"]
            answered.add(int(given_id.partition("-")[0], 16))
            workers = set(self.workers())
            return len(workers) >= self.expected and answered >= workers

        eventually(all_have, 90)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def metric(self, name: str) -> float:
        """The sum over all labels."""
        lines = self.get("/metrics").body.decode().splitlines()
        named = [line for line in lines if line.split("{")[0].split(" ")[0] == name]
        return sum(float(line.rsplit(" ", 1)[1]) for line in named)


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body, parse_constant=_no_constant)

    def items(self) -> list[int]:
        """What the Seldon server makes of it."""
        return [item for item, _ in read_strictly(self)]


def get(port: int, path: str, **headers: str) -> Answer:
    return request(port, "GET", path, headers=headers)


def request(port: int, method: str, path: str, body=None, headers=None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def read_strictly(answer: Answer) -> list[tuple[int, float]]:
    """As the Seldon server's reader: anything it does not know refuses the whole answer."""
    assert answer.status == 200, answer.body
    document = answer.json()
    assert type(document) is dict
    assert list(document) == ["recommended"]
    assert type(document["recommended"]) is list
    pairs = []
    for entry in document["recommended"]:
        assert type(entry) is dict
        assert set(entry) == {"item", "score"}
        item, score = entry["item"], entry["score"]
        assert type(item) is int
        assert -(2**63) <= item < 2**63
        assert type(score) in (int, float)
        assert math.isfinite(score)
        pairs.append((item, score))
    return pairs


def _no_constant(text: str):
    raise AssertionError(f"{text} is no JSON")


def exchange(port: int, data: bytes, seconds: float = PATIENCE) -> bytes:
    """Send bytes as they are; all that comes back until the other side closes, or is silent."""
    with socket.create_connection(("127.0.0.1", port), seconds) as client:
        client.settimeout(seconds)
        received = b""
        with contextlib.suppress(OSError):  # refused before all was sent: there is an answer
            client.sendall(data)
        with contextlib.suppress(OSError):
            while more := client.recv(65_536):
                received += more
        return received


def eventually(condition, seconds: float = PATIENCE):
    """Asks again until it is true; what the connection is refused or broken off is not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            result = condition()
        except (OSError, http.client.HTTPException):
            result = None
        if result:
            return result
        assert time.monotonic() < deadline, condition
        time.sleep(0.05)


@dataclass
class Load:
    """Clients that ask one after the other over kept connections until `stop`."""

    port: int
    path: str
    clients: int = 4
    pause: float = 0.002
    answers: list[tuple[float, int]] = field(default_factory=list)  # (seconds, status)
    bodies: set[bytes] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        connection = None
        while not self._stopping.is_set():
            fresh = connection is None
            if fresh:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            started = time.monotonic()
            try:
                connection.request("GET", self.path)
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                connection = None
                # A kept connection may be closed while idle; the Seldon server asks again.
                if fresh:
                    self.errors.append(repr(error))
            else:
                self.answers.append((time.monotonic() - started, response.status))
                self.bodies.add(body)
                if response.will_close:
                    connection.close()
                    connection = None
            self._stopping.wait(self.pause)
        if connection is not None:
            connection.close()

    def statuses(self) -> dict[int, int]:
        counts: dict[int, int] = {}
        for _, status in self.answers:
            counts[status] = counts.get(status, 0) + 1
        return counts

    def quantile(self, share: float) -> float:
        seconds = sorted(seconds for seconds, _ in self.answers)
        return seconds[min(int(len(seconds) * share), len(seconds) - 1)]


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
