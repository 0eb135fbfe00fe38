"""Write the Python modules of seldon.proto: ``python -m seldon.rpc.generate``.

Needs grpcio-tools, which running the service does not.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def generate(folder: Path) -> None:
    """Write ``seldon_pb2.py``, ``seldon_pb2.pyi`` and ``seldon_pb2_grpc.py`` into `folder`."""
    from grpc_tools import protoc

    status = protoc.main(
        [
            "protoc",
            f"--proto_path={HERE}",
            f"--proto_path={Path(protoc.__file__).parent / '_proto'}",
            f"--python_out={folder}",
            f"--pyi_out={folder}",
            f"--grpc_python_out={folder}",
            "seldon.proto",
        ]
    )
    if status:
        raise SystemExit(status)
    services = folder / "seldon_pb2_grpc.py"
    # The generator imports its neighbour as a top-level module; it lives in this package.
    text = services.read_text(encoding="utf-8")
    services.write_text(
        text.replace("\nimport seldon_pb2 as", "\nfrom seldon.rpc import seldon_pb2 as"),
        encoding="utf-8",
    )


if __name__ == "__main__":
    generate(HERE)
