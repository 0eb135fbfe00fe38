"""Uploads that come in parts, gathered until they are whole."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from pathlib import Path

from seldon.errors import Conflict, InvalidParameter
from seldon.models_api.inputs import LocalInputs, Readable, RemoteInputs
from seldon.models_api.store import lock

KEPT_SECONDS = 86_400
"""How long an upload that broke off can be gone on with."""


class PartialUploads:
    """Files of which some bytes have come.

    Parameters
    ----------
    folder : path
        Of this service alone, and shared by all its processes.
    inputs : LocalInputs or RemoteInputs
        Gets a file once it is whole.
    """

    def __init__(self, folder: Path, inputs: LocalInputs | RemoteInputs) -> None:
        self._folder = folder
        self._inputs = inputs

    def add(self, container: str, path: str, source: Readable, start: int, total: int) -> bool:
        """Add the next bytes of a file; whether it is whole, and an input, now.

        Parameters
        ----------
        start : int
            Where these bytes belong; 0 begins anew.
        total : int
            Bytes of the whole file.

        Raises
        ------
        Conflict
            Other bytes are missing before these, or are being written at this moment.
        InvalidParameter
            As for `LocalInputs.write`; also when there are more bytes than announced.
        """
        self._inputs.check(container, path)
        self._folder.mkdir(parents=True, exist_ok=True)
        if start == 0:
            self._forget()
        name = hashlib.sha256(f"{container}/{path}".encode()).hexdigest()
        part = self._folder / name
        with part.open("ab") as stream:
            if not lock(stream.fileno()):
                raise Conflict(f"{path}: another part of it is being written; send it again")
            if start == 0:
                stream.truncate(0)
                stream.seek(0)
            if stream.tell() != start:
                raise Conflict(f"{path}: {stream.tell()} bytes have come, not {start}; go on there")
            shutil.copyfileobj(source, stream, 2**20)
            size = stream.tell()
            if size > total:
                part.unlink()
                raise InvalidParameter(f"{path}: {size} bytes have come, {total} were announced")
            if size < total:
                return False
            stream.flush()
            self._inputs.take(part, container, path)
        return True

    def _forget(self) -> None:
        """Remove what broke off long ago."""
        for part in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - part.stat().st_mtime > KEPT_SECONDS:
                    part.unlink()
