"""The test kit for authors of algorithms: `python -m seldon.check algs/mine.py`."""

from seldon.check.report import Finding
from seldon.check.runner import check_algorithm

__all__ = ["Finding", "check_algorithm"]
