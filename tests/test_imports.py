"""Imports go one way: a room imports only from rows above its own."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = [
    {"errors", "settings", "whole_files"},
    {
        "config",
        "folders",
        "interactions",
        "memory",
        "metrics",
        "operation",
        "originals",
        "deprecated",
    },
    {"bulkhead", "candidates", "item_cosine", "locations", "memcache", "reading", "sample"},
    {"candidate_lists", "rpc", "scores", "splits", "versions", "web"},
    {"answers", "candidate_store", "saved", "worker"},
    {"base", "extension"},
    {"live", "wrappers"},
    {"algorithms", "pipeline", "sar", "slirec", "util"},
    {
        "check",
        "microservice",
        "models_api",
        "replay",
        "sklearn_estimator",
        "xgb",
        "zookeeper",
    },
    {"app", "models"},
]
ROW = {room: number for number, rooms in enumerate(ROWS) for room in rooms}
HEAVY = ["torch", "mlflow", "sklearn", "grpc", "kazoo", "pyspark", "numba", "scipy", "matplotlib"]


def imports():
    """(file, room, imported room) of every import inside the package."""
    for file in sorted((ROOT / "seldon").rglob("*.py")):
        inside = file.relative_to(ROOT / "seldon")
        room = inside.parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                whole = node.module == "seldon"
                names = [f"seldon.{a.name}" for a in node.names] if whole else [node.module]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                package, _, rest = name.partition(".")
                if package == "seldon" and rest and rest.split(".")[0] != room:
                    yield str(inside), room, rest.split(".")[0]


def test_every_room_has_a_row():
    rooms = {path.name.removesuffix(".py") for path in (ROOT / "seldon").iterdir()}
    known = set(ROW) | {"__init__", "__pycache__", "py.typed"}
    assert rooms <= known, f"not in ROWS: {sorted(rooms - known)}"


def test_imports_go_up():
    wrong = [
        f"{file}: {room} (row {ROW[room]}) imports {other} (row {ROW[other]})"
        for file, room, other in imports()
        if room != "__init__" and ROW[other] >= ROW[room]
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", ["seldon", "seldon.microservice", "seldon.app", "seldon.worker"])
def test_the_service_needs_no_heavy_package(module):
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    said = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert said.strip() == "[]"
