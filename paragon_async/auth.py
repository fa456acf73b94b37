"""Tokens: where they come from, and how nobody gets to see them.

A Paragon User Token is a JWT, signed RS256 with the project's signing key, whose `sub` is the
connected user. Source: api.md 2.
"""

from __future__ import annotations

import base64
import json
import logging
from collections import OrderedDict
from pathlib import Path
from typing import Any, NoReturn, Protocol

import attrs

from paragon_async.clock import Clock, SystemClock
from paragon_async.errors import ConfigurationError

_log = logging.getLogger("paragon_async.auth")
# A service whose clock runs a little behind ours must not see a token from the future.
_BACKDATED = 30
_RENEW_AT = 0.8
_USERS_CACHED = 10_000
_LONGEST_LIFE = 86_400
_LONGEST_USER = 255
_DOTS_OF_A_JWT = 2


class Secret:
    """A string that shows itself only when asked by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the string itself."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


@attrs.frozen(eq=False)
class Rejection:
    """A token that the service refused with 401, and what its clock said then (Unix seconds)."""

    token: Secret
    service_time: float | None = None


class TokenSource(Protocol):
    """Gives the token for a user. Called before every request, so it must be quick."""

    async def token(self, user_id: str | None, *, rejected: Rejection | None = None) -> Secret:
        """Return a token for *user_id*.

        After a 401 it is called once more with the *rejected* token: return another one, or the
        same if there is no other, which ends the request with an `AuthenticationError`.
        """
        ...


class FixedToken:
    """One token that is always used, for the one user it was made for.

    *project_id* and *user_id* are what the token says of itself, None where it says nothing.
    """

    __slots__ = ("_secret", "project_id", "user_id")

    def __init__(self, value: str) -> None:
        value = value.strip()
        if not value or not value.isascii() or any(c.isspace() for c in value):
            raise ConfigurationError("the user token is empty or holds characters no token has")
        self._secret = Secret(value)
        claims = _claims(value)
        self.project_id = str(claims.get("aud", "")).rpartition("/")[2] or None
        self.user_id = str(claims.get("sub", "")) or None

    async def token(self, user_id: str | None, *, rejected: Rejection | None = None) -> Secret:  # noqa: ARG002  # the protocol's form
        """Return the token, whoever asks."""
        return self._secret

    def __repr__(self) -> str:
        return "FixedToken(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token source holds a secret and cannot be pickled")


@attrs.define(eq=False, repr=False)
class _Minted:
    secret: Secret
    renew_at: float


class SigningKey:
    r"""Mints a token per user from the project's signing key.

    *key* is the private key as PEM, as PEM with literal `\n` (the usual form in an environment), or
    `@path`. It is parsed once. A token lives *lifetime* seconds, is kept for its user and renewed
    when four fifths of its life are over, or when the service refuses it. *audience* defaults to
    `useparagon.com/<project_id>`; an on-premises installation names its own host there.
    """

    def __init__(
        self,
        project_id: str,
        key: str,
        *,
        lifetime: float = 3600.0,
        audience: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not project_id:
            raise ConfigurationError("the project id is empty")
        if not 2 * _BACKDATED <= lifetime <= _LONGEST_LIFE:
            raise ConfigurationError(
                f"a token must live {2 * _BACKDATED} to {_LONGEST_LIFE} seconds, not {lifetime}"
            )
        self.project_id = project_id
        self.audience = audience or f"useparagon.com/{project_id}"
        self.lifetime = lifetime
        self._key = _load(key)
        self._clock = clock or SystemClock()
        self._ahead = 0.0
        self._minted: OrderedDict[str, _Minted] = OrderedDict()

    async def token(self, user_id: str | None, *, rejected: Rejection | None = None) -> Secret:
        """Return the user's token, minting it if there is none, or only a *rejected* one.

        However many callers come with the same rejected token, one new token is minted.
        """
        if not user_id:
            raise ConfigurationError("a signing key mints tokens for users: name one, user('…')")
        given: object = user_id
        if not isinstance(given, str) or len(given) > _LONGEST_USER:
            raise ConfigurationError(f"a user's id is text of at most {_LONGEST_USER} characters")
        kept = self._kept(user_id)
        if kept and (rejected is None or kept.secret != rejected.token):
            return kept.secret
        if rejected and rejected.service_time is not None:
            self._ahead = rejected.service_time - self._clock.wall()
        return self._mint(user_id, rejected)

    def _kept(self, user_id: str) -> _Minted | None:
        kept = self._minted.get(user_id)
        if kept is None or self._clock.wall() >= kept.renew_at:
            return None
        self._minted.move_to_end(user_id)
        return kept

    def _mint(self, user_id: str, rejected: Rejection | None) -> Secret:
        import jwt  # noqa: PLC0415  # heavy, and a fixed token never needs it

        now = self._clock.wall()
        issued = int(now + self._ahead) - _BACKDATED
        claims = {
            "sub": user_id,
            "aud": self.audience,
            "iat": issued,
            "exp": int(issued + self.lifetime),
        }
        secret = Secret(jwt.encode(claims, self._key, algorithm="RS256"))
        if rejected and secret == rejected.token:
            # Minted within one second, two tokens are the same: make this another one.
            claims["iat"] = issued - 1
            secret = Secret(jwt.encode(claims, self._key, algorithm="RS256"))
        self._minted[user_id] = _Minted(secret, now - _BACKDATED + self.lifetime * _RENEW_AT)
        self._minted.move_to_end(user_id)
        if len(self._minted) > _USERS_CACHED:
            self._minted.popitem(last=False)
        _log.debug("a token for user %r, audience %r, %d s", user_id, self.audience, self.lifetime)
        return secret

    def __repr__(self) -> str:
        return f"SigningKey(project_id={self.project_id!r}, audience={self.audience!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key is a secret and cannot be pickled")


def _claims(token: str) -> dict[str, Any]:
    """Return what a token says of itself. It is not verified: that is for the service to do."""
    body = token.split(".")[1] if token.count(".") == _DOTS_OF_A_JWT else ""
    try:
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _load(key: str) -> Any:
    """Parse the private key, whichever of its three forms it comes in."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  # heavy, see above
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415  # heavy too
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415  # heavy too
        load_pem_private_key,
    )

    text = _read(key[1:]) if key.startswith("@") else key
    pem = text.replace("\\n", "\n").strip().encode()
    if b"-----BEGIN" not in pem:
        raise ConfigurationError("the signing key is no PEM: it must begin with -----BEGIN")
    try:
        loaded = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's message is dropped with its traceback: it may quote the key.
        raise ConfigurationError(
            "the signing key cannot be read: an unencrypted RSA private key as PEM is wanted"
        ) from None
    if not isinstance(loaded, RSAPrivateKey) or loaded.key_size < 2048:  # noqa: PLR2004  # RFC 7518
        raise ConfigurationError("the signing key must be an RSA key of at least 2048 bits")
    return loaded


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the signing key file {path} cannot be read: {error}") from None
