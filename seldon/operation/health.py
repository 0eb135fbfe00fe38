"""Liveness and readiness: whether to restart this process, and whether to send it requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_draining = False


def begin_draining() -> None:
    """From now on this process is not ready: it finishes what it has and goes."""
    global _draining
    _draining = True


class Readiness:
    """Named checks; ready when each says so and the process is not draining.

    A check answers a dict with ``"ok"`` and whatever helps; it must be quick and not raise.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Callable[[], dict[str, Any]]] = {}

    def add(self, name: str, check: Callable[[], dict[str, Any]]) -> None:
        self._checks[name] = check

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether ready, and the document of ``/readyz``."""
        checks = {name: check() for name, check in self._checks.items()}
        ready = not _draining and all(check["ok"] for check in checks.values())
        return ready, {"ready": ready, "draining": _draining, "checks": checks}
