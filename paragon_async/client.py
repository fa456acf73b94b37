"""The client: one pool for all users of a project, and a light view for each.

Paragon         owns the connections, the gate, the tokens
ConnectedUser   syncs, records and permissions as one user sees them
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import aiohttp
import attrs

from paragon_async.api.records import Records
from paragon_async.auth import FixedToken, SigningKey, TokenSource
from paragon_async.clock import Clock, SystemClock
from paragon_async.errors import ConfigurationError
from paragon_async.threads import Inline
from paragon_async.transport.channel import Channel, Observer
from paragon_async.transport.gate import Gate, Limits
from paragon_async.transport.protocols import Session, Timeouts
from paragon_async.transport.redirects import is_private
from paragon_async.transport.retry import Retry, RetryBudget
from paragon_async.transport.session import AiohttpSession

if TYPE_CHECKING:
    from paragon_async.api.permissions import Permissions
    from paragon_async.api.syncs import Syncs

BASE_URL = "https://sync.useparagon.com"


@attrs.frozen(eq=False)
class ConnectedUser:
    """One connected user: *id*, and what the API offers for them. Costs nothing to make.

    *project_id* is None where neither key nor token tells it.
    """

    id: str | None
    syncs: Syncs = attrs.field(repr=False)
    records: Records = attrs.field(repr=False)
    permissions: Permissions = attrs.field(repr=False)
    project_id: str | None = None


class Paragon:
    r"""A client of Managed Sync: `async with Paragon() as paragon: user = paragon.user("…")`.

    What is not given comes from the environment: `PARAGON_SIGNING_KEY` with `PARAGON_PROJECT_ID`, or
    else `PARAGON_USER_TOKEN`; `PARAGON_BASE_URL`; `PARAGON_TOKEN_EXPIRATION_SECONDS`. An argument
    beats the environment.

    Args:
        project_id: the project that the signing key belongs to.
        signing_key: PEM, PEM with literal `\n`, or `@path`; mints a token for each user.
        token: a token for one user, instead of a key.
        tokens: any `TokenSource`, instead of both.
        base_url: the service's URL, with or without `/api`; https, except on a private network.
        timeouts: deadlines in seconds.
        retry: how often and how patiently to try again.
        limits: how much to ask at once.
        observe: called with an `Exchange` after every attempt.
        session: an aiohttp session, or any `Session`; it is not closed by this client.
        clock: where time and chance come from.

    It can be used in one event loop. Raises `ConfigurationError` when what it is given cannot work.
    """

    def __init__(
        self,
        *,
        project_id: str | None = None,
        signing_key: str | None = None,
        token: str | None = None,
        tokens: TokenSource | None = None,
        base_url: str | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  # a frozen value
        retry: Retry = Retry(),  # noqa: B008  # a frozen value
        limits: Limits = Limits(),  # noqa: B008  # a frozen value
        observe: Observer | None = None,
        session: aiohttp.ClientSession | Session | None = None,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self._tokens = _tokens(project_id, signing_key, token, tokens, clock)
        self.base_url = _base(base_url)
        self._owns = session is None
        if session is None or isinstance(session, aiohttp.ClientSession):
            session = AiohttpSession(self.base_url, timeouts, session)
        self._session = session
        self._inline = Inline(clock=clock.monotonic)
        self._channel = Channel(
            session=session,
            tokens=self._tokens,
            gate=Gate(limits, clock),
            retry=retry,
            budget=RetryBudget(retry.budget),
            timeouts=timeouts,
            clock=clock,
            observe=observe,
        )

    def user(self, user_id: str | None = None) -> ConnectedUser:
        """Return a view of one connected user; no I/O. The id may be left out with a fixed token."""
        if not user_id and not isinstance(self._tokens, FixedToken):
            raise ConfigurationError("name a user, user('…'): only a fixed token implies one")
        from paragon_async.api.permissions import Permissions  # noqa: PLC0415  # not when importing
        from paragon_async.api.syncs import Syncs  # noqa: PLC0415  # the same

        # A token source of the caller's own need not know its project.
        project_id = getattr(self._tokens, "project_id", None)
        return ConnectedUser(
            user_id or getattr(self._tokens, "user_id", None),
            Syncs(self._channel, user_id),
            Records(self._channel, user_id, self._inline),
            Permissions(self._channel, user_id),
            project_id,
        )

    async def aclose(self) -> None:
        """Close the connections this client has made; calling it again is harmless."""
        if self._owns:
            await self._session.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"Paragon(base_url={self.base_url!r})"


def _tokens(
    project_id: str | None,
    signing_key: str | None,
    token: str | None,
    tokens: TokenSource | None,
    clock: Clock,
) -> TokenSource:
    given = [
        name
        for name, value in (("signing_key", signing_key), ("token", token), ("tokens", tokens))
        if value
    ]
    if len(given) > 1:
        raise ConfigurationError(f"give one of {' and '.join(given)}, not both")
    if tokens is not None:
        return tokens
    env = os.environ
    key = signing_key or (None if token else env.get("PARAGON_SIGNING_KEY"))
    if key:
        project = project_id or env.get("PARAGON_PROJECT_ID")
        if not project:
            raise ConfigurationError(
                "a signing key needs its project: pass project_id or set PARAGON_PROJECT_ID"
            )
        return SigningKey(project, key, lifetime=_lifetime(), clock=clock)
    token = token or env.get("PARAGON_USER_TOKEN")
    if not token:
        raise ConfigurationError(
            "no credentials: pass signing_key (or set PARAGON_SIGNING_KEY and PARAGON_PROJECT_ID), "
            "or pass token (or set PARAGON_USER_TOKEN)"
        )
    return FixedToken(token)


def _lifetime() -> float:
    text = os.environ.get("PARAGON_TOKEN_EXPIRATION_SECONDS", "3600")
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(
            f"PARAGON_TOKEN_EXPIRATION_SECONDS must be a number of seconds, not {text!r}"
        ) from None


def _base(given: str | None) -> str:
    """Normalise the base URL; a token must not travel in the clear over a public network."""
    url = (given or os.environ.get("PARAGON_BASE_URL") or BASE_URL).strip().rstrip("/")
    url = url.removesuffix("/api").rstrip("/")
    advice = "pass base_url, or set PARAGON_BASE_URL, such as https://sync.example.com"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigurationError(f"the base URL cannot be read: {advice}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(f"the base URL {url!r} is no http address: {advice}")
    if parts.query or parts.fragment or parts.username:
        raise ConfigurationError(f"the base URL must be scheme, host and path alone: {advice}")
    if parts.scheme == "http" and not is_private(parts.hostname):
        raise ConfigurationError(f"the base URL must be https, or on a private network: {advice}")
    return url
