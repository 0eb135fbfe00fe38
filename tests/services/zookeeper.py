"""A real ZooKeeper out of Debian's jars, on a free port, with its data in a test's folder."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services.processes import free_port, stop, wait_for_port

JARS = [
    Path("/usr/share/java") / f"{name}.jar"
    for name in (
        "zookeeper",
        "zookeeper-jute",
        "slf4j-api",
        "slf4j-simple",
        "netty-all",
        "metrics-core",
        "snappy-java",
    )
]


@contextmanager
def zookeeper(folder: Path, port: int | None = None) -> Iterator[tuple[subprocess.Popen, int]]:
    """Yields its process and port; what it prints goes to ``zookeeper.log`` in `folder`."""
    missing = [str(jar) for jar in JARS if not jar.exists()]
    if missing or not shutil.which("java"):
        pytest.skip(f"needs Debian's packages zookeeper and default-jre-headless: {missing}")
    port = port or free_port()
    config = folder / "zoo.cfg"
    settings = {
        "tickTime": 500,
        "dataDir": folder / "data",
        "clientPort": port,
        "clientPortAddress": "127.0.0.1",
        "admin.enableServer": "false",
    }
    config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    command = ["java", "-Xmx64m", "-XX:+UseSerialGC", "-cp", ":".join(map(str, JARS))]
    with (folder / "zookeeper.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(config)],
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        wait_for_port(port, process)
        yield process, port
    finally:
        stop(process)
