"""A real PostgreSQL for a test; as root it runs as the user `postgres`, for root it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.processes import free_port, stop, wait_for_port


def missing() -> str | None:
    """Why there is no PostgreSQL here, or None."""
    return None if _programs() else "PostgreSQL is not installed"


@contextmanager
def postgresql() -> Iterator[str]:
    """An empty server on a free port; yields the URL of its database."""
    folder = Path(tempfile.mkdtemp(prefix="seldon-postgresql-"))
    port = free_port()
    as_user = []
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    try:
        initdb = [_programs()[-1] / "initdb", "-D", folder / "data", "-U", "seldon", "-A", "trust"]
        subprocess.run([*as_user, *initdb, "-N"], check=True, capture_output=True, cwd=folder)
        # postgres itself and not through runuser, so that the signal reaches it
        command = [_programs()[-1] / "postgres", "-D", folder / "data", "-p", str(port)]
        options = ["-h", "127.0.0.1", "-k", folder, "-c", "fsync=off"]
        process = subprocess.Popen(
            [*command, *options],
            cwd=folder,
            user="postgres" if as_user else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for_port(port, process)
            yield f"postgresql://seldon@127.0.0.1:{port}/postgres"
        finally:
            stop(process, 20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> list[Path]:
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"))
