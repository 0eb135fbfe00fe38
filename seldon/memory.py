"""How much memory this process may still take, and giving back what it no longer needs."""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from pathlib import Path


def available_memory() -> int:
    """Bytes: the least of what is free, what the control group allows, and the address space."""
    limits = [_free(Path("/proc/meminfo")), _left_in_group(), _left_of_address_space()]
    return max(0, min(limit for limit in limits if limit is not None))


def resident_memory() -> int:
    """Bytes of this process that are in memory now, shared ones included."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def give_back_memory() -> None:
    """Return to the system what was allocated and freed.

    glibc keeps it: a process that learned from 200,000 events at start held 420 MiB, of which it
    used 160. Other C libraries have no such call, and need none.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def gigabytes(size: float) -> str:
    """``1.5 GiB``, or ``12 MiB`` for less than a tenth of one."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 / 10 else f"{size / 2**20:.0f} MiB"


def _free(meminfo: Path) -> int:
    for line in meminfo.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 2**62


def _left_in_group() -> int | None:
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            allowed = int((Path("/sys/fs/cgroup") / limit).read_text())
            return allowed - int((Path("/sys/fs/cgroup") / used).read_text())
        except (OSError, ValueError):
            continue  # another version of control groups, or "max"
    return None


def _left_of_address_space() -> int | None:
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return None
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return soft - pages * resource.getpagesize()
