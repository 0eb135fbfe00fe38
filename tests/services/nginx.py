"""A real nginx with the configuration that ships, on free ports and in a test's folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services.processes import ROOT, free_port, stop, wait_for_port


def configuration(folder: Path, port: int, service: int) -> Path:
    """``deploy/nginx.conf`` with its two addresses and its folder replaced, and nothing else."""
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    for shipped, ours in {
        "server recommender:5000 ": f"server 127.0.0.1:{service} ",
        "listen 8080 ": f"listen 127.0.0.1:{port} ",
        "/tmp/nginx": str(folder),
    }.items():
        assert shipped in text
        text = text.replace(shipped, ours)
    path = folder / "nginx.conf"
    path.write_text(text)
    return path


def command(configuration: Path, *options: str) -> list[str]:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("needs Debian's package nginx")
    # As root nginx would drop to a user that may not enter a test's folder.
    user = "user root; " if os.getuid() == 0 else ""
    return [program, "-c", str(configuration), "-g", f"{user}daemon off;", *options]


@contextmanager
def nginx(folder: Path, service: int) -> Iterator[int]:
    """In front of the service at that port; yields its own port."""
    port = free_port()
    with (folder / "nginx.log").open("ab") as log:
        process = subprocess.Popen(
            command(configuration(folder, port, service)), stdout=log, stderr=log
        )
    try:
        wait_for_port(port, process)
        yield port
    finally:
        stop(process)
