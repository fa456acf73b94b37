"""Who sent this? Pure checks of a webhook's headers and body against secrets that both sides know.

Managed Sync does not sign its webhooks, as far as anybody can see, so none of these is on unless it
is asked for: `SharedSecret` where a proxy or the vendor adds a header, `StandardWebhooks` behind a
relay that signs, `ParagonSignature` for the style of the vendor's other product. Whatever they say,
an event stays a hint. Source: api.md 6.3, failures.md S11.

All of them compare in constant time, with every secret every time, so that neither how much of a
guess is right nor which secret is in use can be measured; several are valid at once for rotation.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
from collections.abc import Iterable, Mapping
from typing import Protocol

from paragon_async.auth import Secret
from paragon_async.clock import Clock, SystemClock
from paragon_async.errors import ConfigurationError

SHORTEST = 16
_LONGEST_TIMESTAMP = 12
_PREFIX = "whsec_"


class Verifier(Protocol):
    """Says whether a request comes from who it should come from; any function of this form is one."""

    def __call__(self, headers: Mapping[str, str], body: bytes, /) -> bool:
        """Return whether to believe the request.

        The keys of *headers* are in lower case, *body* is as it was sent. Must neither wait nor
        raise: a request that proves nothing is False. Only True itself is believed, and an
        `async def` is refused when the receiver is made.
        """
        ...


class SharedSecret:
    """The request names one of *secrets* in *header*. A body can be changed on the way unseen."""

    __slots__ = ("_secrets", "header")

    def __init__(self, *secrets: str | Secret, header: str = "x-webhook-secret") -> None:
        if not header.strip():
            raise ConfigurationError("a shared secret needs the name of its header")
        self.header = header.strip().lower()
        self._secrets = usable(secrets)

    def __call__(self, headers: Mapping[str, str], body: bytes, /) -> bool:  # noqa: ARG002  # the protocol's form
        """Return whether the header holds one of the secrets."""
        return matches(headers.get(self.header, ""), self._secrets)

    def __repr__(self) -> str:
        return f"SharedSecret({_counted(self._secrets)}, header={self.header!r})"


class ParagonSignature:
    """`x-paragon-signature: v1=<hex HMAC-SHA256 of the body>`, as ActionKit Triggers are signed.

    A request that was signed once is valid for ever.
    """

    __slots__ = ("_secrets",)

    def __init__(self, *secrets: str | Secret) -> None:
        self._secrets = usable(secrets)

    def __call__(self, headers: Mapping[str, str], body: bytes, /) -> bool:
        """Return whether the body was signed with one of the secrets."""
        given = headers.get("x-paragon-signature", "").strip().lower()
        keys = [secret.reveal().encode() for secret in self._secrets]
        return _any_equal([given], ["v1=" + hmac.digest(k, body, "sha256").hex() for k in keys])

    def __repr__(self) -> str:
        return f"ParagonSignature({_counted(self._secrets)})"


class StandardWebhooks:
    """The signatures of the Standard Webhooks specification, symmetric (`v1`).

    A secret is base64 with or without `whsec_` before it. A request is believed when its
    `webhook-timestamp` is at most *tolerance* seconds from now, in both directions, and one of the
    signatures in `webhook-signature` is that of id, timestamp and body.
    """

    __slots__ = ("_clock", "_secrets", "tolerance")

    def __init__(
        self, *secrets: str | Secret, tolerance: float = 300.0, clock: Clock | None = None
    ) -> None:
        if not (tolerance > 0 and math.isfinite(tolerance)):
            raise ConfigurationError(f"the tolerance must be some seconds, not {tolerance}")
        self.tolerance = tolerance
        self._secrets = usable(secrets)
        self._clock = clock or SystemClock()
        for secret in self._secrets:
            _key(secret)

    def __call__(self, headers: Mapping[str, str], body: bytes, /) -> bool:
        """Return whether the request is recent and was signed with one of the secrets."""
        message_id = headers.get("webhook-id", "")
        timestamp = headers.get("webhook-timestamp", "")
        if not message_id or not self._is_recent(timestamp):
            return False
        content = _bytes(f"{message_id}.{timestamp}.") + body
        given = headers.get("webhook-signature", "").split()
        signed = [hmac.digest(_key(secret), content, "sha256") for secret in self._secrets]
        return _any_equal(given, ["v1," + base64.b64encode(s).decode() for s in signed])

    def _is_recent(self, timestamp: str) -> bool:
        if not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > _LONGEST_TIMESTAMP:
            return False
        return abs(self._clock.wall() - int(timestamp)) <= self.tolerance

    def __repr__(self) -> str:
        return f"StandardWebhooks({_counted(self._secrets)}, tolerance={self.tolerance})"


def usable(secrets: Iterable[str | Secret]) -> tuple[Secret, ...]:
    """Return *secrets* without the white space around them, such as the end of a file's line.

    Raises `ConfigurationError` where there is none, or one that is shorter than 16 characters. The
    message holds none of them.
    """
    if isinstance(secrets, str):
        raise ConfigurationError("several secrets are wanted, as a list: this is one string")
    kept = tuple(_stripped(given) for given in secrets)
    if not kept:
        raise ConfigurationError("no webhook secret was given")
    for place, secret in enumerate(kept, 1):
        if len(secret.reveal()) < SHORTEST:
            raise ConfigurationError(
                f"webhook secret {place} is shorter than {SHORTEST} characters"
            )
    return kept


def _stripped(given: object) -> Secret:
    text = given.reveal() if isinstance(given, Secret) else given
    if not isinstance(text, str):
        # Most often None: what an environment says that does not hold the variable.
        raise ConfigurationError(f"a webhook secret is a string, not {type(text).__name__}")
    return Secret(text.strip())


def matches(given: str, secrets: Iterable[Secret]) -> bool:
    """Return whether *given* is one of *secrets*, in a time that depends on neither."""
    digests = [_digest(secret.reveal()) for secret in secrets]
    return _any_equal([_digest(given)], digests)


def _any_equal(given: Iterable[str], wanted: Iterable[str]) -> bool:
    """Compare all with all, to the end even when two are equal."""
    known = [_bytes(one) for one in wanted]
    found = False
    for offer in given:
        for one in known:
            found |= hmac.compare_digest(_bytes(offer), one)
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(_bytes(text)).hexdigest()


def _bytes(text: str) -> bytes:
    # A server hands over bytes of a header that are no text as lone surrogates.
    return text.encode(errors="surrogatepass")


def _key(secret: Secret) -> bytes:
    try:
        key = base64.b64decode(secret.reveal().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(
            "a secret for Standard Webhooks is base64, with or without whsec_ before it"
        ) from None
    if len(key) < SHORTEST:
        raise ConfigurationError(f"a secret for Standard Webhooks has less than {SHORTEST} bytes")
    return key


def _counted(secrets: tuple[Secret, ...]) -> str:
    return "1 secret" if len(secrets) == 1 else f"{len(secrets)} secrets"
