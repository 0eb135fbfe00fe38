"""Public data that the project does not ship; tests that use it skip where it is absent."""

import os
from pathlib import Path

import pytest

FOLDER = Path(
    os.environ.get("PUBLIC_DATA_FOLDER", Path(__file__).parents[2] / "shared" / "data")
).resolve()


def shared_file(name: str) -> Path:
    """The path of ``folder/file``, or a skip that says what is missing."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{path} is absent; name the data folder in PUBLIC_DATA_FOLDER")
    return path
