"""Sessions of people who gave an admin key once: a signed cookie, nothing kept on the server."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from itsdangerous import BadData, URLSafeTimedSerializer

from seldon.models_api.keys import ApiKeys

COOKIE = "models_page"
SESSION_SECONDS = 8 * 3600


class Sessions:
    """Begins sessions and knows its own; one secret for all processes with the same keys.

    The secret comes from the admin keys, so a change of keys ends every session.

    Parameters
    ----------
    seconds : int
        How long a session lasts.
    """

    def __init__(self, keys: ApiKeys, seconds: int = SESSION_SECONDS) -> None:
        self._keys = keys
        self.seconds = seconds

    def begin(self) -> str:
        """The cookie of a new session."""
        return self._cookies.dumps(secrets.token_urlsafe(16))

    def is_open(self, cookie: str | None) -> bool:
        """Whether the cookie is one of ours and not too old."""
        try:
            self._cookies.loads(cookie or "", max_age=self.seconds)
        except BadData:
            return False
        return True

    def form_token(self, cookie: str) -> str:
        """What every form of this session carries, and no other page can know."""
        return hmac.digest(self._secret, b"form " + cookie.encode(), "sha256").hex()

    def is_form(self, cookie: str, token: str) -> bool:
        return hmac.compare_digest(self.form_token(cookie).encode(), token.encode())

    @property
    def _cookies(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(
            self._secret, "models page", signer_kwargs={"digest_method": hashlib.sha256}
        )

    @property
    def _secret(self) -> bytes:
        return self._keys.secret("models page")
