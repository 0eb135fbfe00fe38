"""What a check found, and how a check says so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes
    ----------
    check : str
    status : {"pass", "fail", "skip"}
    reason : str
        Why it failed or was skipped; for one that passed, what was seen.
    seconds : float
        How long the check took.
    """

    check: str
    status: str
    reason: str
    seconds: float = 0.0


class Failed(Exception):
    """The algorithm does something an author should mend; the message says what and how."""


class Skipped(Exception):
    """The check does not apply to this algorithm; the message says why."""
