"""Start a program for a test, wait until it answers, stop it: never by name, always by pid."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, process: subprocess.Popen | None = None, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return
        except OSError:
            if process is not None and process.poll() is not None:
                raise RuntimeError(f"{process.args} ended with {process.returncode}") from None
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing listens on port {port} after {seconds} s") from None
            time.sleep(0.02)


def stop(process: subprocess.Popen, seconds: float = 10) -> None:
    """SIGTERM, then SIGKILL, to this process only; also when it is stopped by SIGSTOP."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def freeze(pid: int) -> None:
    """SIGSTOP, and wait for it: a thread on another core may else answer once more."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 10
    while not all(_is_stopped(task) for task in Path(f"/proc/{pid}/task").iterdir()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} does not stop")
        time.sleep(0.001)


def _is_stopped(task: Path) -> bool:
    try:
        text = (task / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return True
    return text.rpartition(")")[2].split()[0] == "T"  # the state follows the name in brackets


@contextmanager
def memcached(port: int | None = None, *options: str) -> Iterator[tuple[subprocess.Popen, int]]:
    """A real memcached; yields its process and port."""
    port = port or free_port()
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    command = ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", *user, *options]
    process = subprocess.Popen(command)
    try:
        wait_for_port(port, process)
        yield process, port
    finally:
        process.kill()  # it has nothing to lose, and takes a second to stop by itself
        process.wait()


@contextmanager
def gunicorn(
    app: str,
    *options: str,
    log: Path,
    env: dict[str, str] | None = None,
    port: int | None = None,
    seconds: float = 60,
    folder: Path = ROOT,
    under: Sequence[str] = (),
) -> Iterator[tuple[subprocess.Popen, int]]:
    """A real gunicorn serving `app` from `folder`; yields the master's process and port.

    What it prints goes to the file `log`; `under` is a program to run it under. It is ready
    when its port accepts, `seconds` at most.
    """
    port = port or free_port()
    python = [*under, sys.executable, "-m", "gunicorn"]
    command = [*python, "-b", f"127.0.0.1:{port}", *options, app]
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **(env or {})}, stdout=stream, stderr=stream
        )
    try:
        try:
            wait_for_port(port, process, seconds)
        except (RuntimeError, TimeoutError) as error:
            raise RuntimeError(log.read_text(errors="replace")[-4000:]) from error
        yield process, port
    finally:
        stop(process, 35)
