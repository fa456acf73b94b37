"""User tokens, really verified: RS256, audience, expiry, subject. Source: api.md 2.

Both known spellings of the audience are accepted, alone or in an array.
"""

from __future__ import annotations

import time
from collections import OrderedDict

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from paragon_async.emulator.errors import EmulatorError, Refusal

_REMEMBERED = 4096


def new_signing_key() -> str:
    """Make a project's signing key, as PEM in PKCS#8."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Gatekeeper:
    """Tells who is calling. A token that was verified is remembered until it expires."""

    def __init__(self, project_id: str, signing_key: str) -> None:
        try:
            loaded = load_pem_private_key(signing_key.replace("\\n", "\n").encode(), None)
        except (ValueError, TypeError):
            raise EmulatorError("the signing key is not an RSA private key as PEM") from None
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise EmulatorError("the signing key must be an RSA key")
        self._public = loaded.public_key()
        self._audiences = [f"useparagon.com/{project_id}", f"dashboard.useparagon.com/{project_id}"]
        self._known: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def user(self, authorization: str) -> str:
        """Return the connected user, or refuse with 401."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refusal(401, "Unauthorized: a Bearer token is needed")
        known = self._known.get(token)
        if known is not None and time.time() < known[1]:
            return known[0]
        return self._verified(token)

    def _verified(self, token: str) -> str:
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=["RS256"],
                audience=self._audiences,
                options={"require": ["exp", "sub", "aud"]},
            )
        except jwt.PyJWTError as error:
            raise Refusal(401, f"Unauthorized: {error}") from None
        user = str(claims["sub"])
        if not user:
            raise Refusal(401, "Unauthorized: the token names no user")
        self._known[token] = (user, float(claims["exp"]))
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return user
