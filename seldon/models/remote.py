"""The models API of a service, over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from seldon.errors import InvalidApiKey, InvalidParameter, ModelNotFound, SeldonError

PART = 2**19
"""Bytes of a file sent at once: services and proxies refuse large bodies."""
TIMEOUT_SECONDS = 60


class RemoteModels:
    """Calls a service.

    Parameters
    ----------
    url : str
        Where the service is, without ``/api``.
    key : str
        An admin key; a recommend key is enough for `recommend`.
    """

    def __init__(self, url: str, key: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise InvalidParameter(f"--url {url!r}: expected http://… or https://…")
        self._url = url.rstrip("/")
        self._key = key

    def close(self) -> None:
        """Nothing is held open between calls."""

    def upload(
        self, file: Path, container: str, path: str, progress: Callable[[int], None]
    ) -> None:
        place = f"/api/inputs/{urllib.parse.quote(container)}/{urllib.parse.quote(path)}"
        total = file.stat().st_size
        start = 0
        with file.open("rb") as stream:
            while start < total or start == 0:
                block = stream.read(PART)
                end = start + len(block)
                parts = {"Content-Range": f"bytes {start}-{end - 1}/{total}"} if total else {}
                self._call("PUT", place, block, parts)
                progress(len(block))
                if not block:
                    return
                start = end

    def train(self, parameters: dict[str, Any]) -> dict[str, Any]:
        created: dict[str, Any] = self._call("POST", "/api/models", parameters)
        return created

    def list(self) -> Any:
        return self._call("GET", "/api/models")

    def show(self, model_id: str) -> dict[str, Any]:
        model: dict[str, Any] = self._call("GET", f"/api/models/{urllib.parse.quote(model_id)}")
        return model

    def set_default(self, model_id: str) -> None:
        self._call("PUT", f"/api/models/default?modelId={urllib.parse.quote(model_id)}")

    def delete(self, model_id: str) -> None:
        self._call("DELETE", f"/api/models/{urllib.parse.quote(model_id)}")

    def recommend(
        self,
        model_id: str,
        item: str | None,
        events: Iterable[dict[str, Any]],
        user: str | None,
        count: int,
    ) -> Any:
        path = f"/api/models/{urllib.parse.quote(model_id)}/recommend?recommendationCount={count}"
        if item is not None:
            return self._call("GET", f"{path}&itemId={urllib.parse.quote(item)}")
        if user is not None:
            path += f"&userId={urllib.parse.quote(user)}"
        return self._call("POST", path, list(events))

    def _call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """The JSON answered, None when there is none.

        Raises
        ------
        InvalidApiKey, ModelNotFound, InvalidParameter, SeldonError
            What the service said, or that there is none.
        """
        if body is not None and not isinstance(body, bytes):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
        request = urllib.request.Request(
            self._url + path, body, {"x-api-key": self._key, **(headers or {})}, method=method
        )
        try:
            with _opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.read(), path) from None
        except OSError as error:
            raise SeldonError(f"{self._url}: no answer: {error}") from error
        return json.loads(text) if text else None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect could carry the key to somebody else; it is told as an error."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


def _refusal(status: int, text: bytes, path: str) -> SeldonError:
    if status == 401:
        return InvalidApiKey("the service does not take this key here; give an admin key")
    if status == 404:
        return ModelNotFound(f"{path.partition('?')[0]}: there is no such thing")
    try:
        document = json.loads(text)
        said = [document["Message"], *_messages(document.get("ModelState", {}))]
    except (ValueError, KeyError, TypeError):
        return SeldonError(f"{path.partition('?')[0]}: the service answered {status}")
    return InvalidParameter("\n".join(said))


def _messages(model_state: dict[str, list[str]]) -> Iterable[str]:
    return (f"  {message}" for messages in model_state.values() for message in messages)
