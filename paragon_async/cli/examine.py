"""What `doctor` learns by asking: name, connection, TLS, the clock by its Date, and the credentials.

A refused token is asked about further: with the service's own time, and with other audiences.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import attrs

from paragon_async import CertificateError, FixedToken, SigningKey, Timeouts, TransportError
from paragon_async.api import endpoints
from paragon_async.auth import Rejection, Secret, TokenSource
from paragon_async.cli import connect
from paragon_async.cli.checkup import Finding
from paragon_async.cli.settings import now
from paragon_async.errors import DecodeError, ParagonError
from paragon_async.transport.session import AiohttpSession
from paragon_async.transport.wire import Reply, decipher

_NOBODY = "paragon-async-doctor"
_SKEW = 60.0
_LARGEST = 16 << 20
_REFUSED = 401
_FORBIDDEN = 403


@attrs.frozen
class Answer:
    """What the service said: its reply, its time by the Date header, and ours meanwhile."""

    reply: Reply
    seconds: float
    ahead: float | None


@attrs.define
class Examined:
    """One service, asked with *tokens* as *user*; without tokens only whether it answers."""

    base_url: str
    tokens: TokenSource | None
    user: str | None
    timeout: float

    async def look(self) -> AsyncGenerator[Finding, None]:
        """Yield what is found; where nothing answers, that is the last."""
        try:
            user = self.user or (None if isinstance(self.tokens, FixedToken) else _NOBODY)
            secret = Secret("none") if self.tokens is None else await self.tokens.token(user)
            answer = await self._ask(secret)
        except ParagonError as error:
            yield _unreachable(error, self.base_url)
            return
        told = f"{self.base_url} answers {answer.reply.status} in {answer.seconds:.2f} s"
        yield Finding("network", "good", told)
        yield _clock(answer.ahead)
        if self.tokens is None:
            return
        if answer.reply.status == _REFUSED:
            yield await self._refused(self.tokens, user, secret, answer)
        else:
            yield _access(answer.reply, user)

    async def _ask(self, secret: Secret) -> Answer:
        limits = Timeouts(connect=self.timeout, headers=self.timeout, idle=self.timeout)
        session = AiohttpSession(self.base_url, limits)
        begun = time.perf_counter()
        try:
            async with session.open(endpoints.list_syncs(None), secret) as response:
                ahead = _ahead(response.headers.get("Date"))
                seconds = time.perf_counter() - begun
                body = await response.read(_LARGEST)
                return Answer(Reply(response.status, dict(response.headers), body), seconds, ahead)
        finally:
            await session.aclose()

    async def _refused(
        self, tokens: TokenSource, user: str | None, secret: Secret, answer: Answer
    ) -> Finding:
        """Find out why: the clock, the audience, or else the key."""
        told = f"the service refuses the token: {_words(answer.reply)}"
        if not isinstance(tokens, SigningKey):
            return Finding("access", "bad", told, "mint another: paragon-async token mint")
        if answer.ahead is not None and abs(answer.ahead) > _SKEW:
            rejected = Rejection(secret, time.time() + answer.ahead)
            if await self._is_taken(await tokens.token(user, rejected=rejected)):
                return Finding(
                    "access", "bad", f"{told}; with its own time it is taken", "set the clock"
                )
        for audience in _audiences(tokens.project_id, self.base_url):
            if audience != tokens.audience and await self._is_taken(await _minted(audience, user)):
                told = f"the service refuses the audience {tokens.audience}, and takes {audience}"
                return Finding("access", "bad", told, f"say --audience {audience}")
        mend = (
            f"is the key of project {tokens.project_id}, and has nobody made a newer one? "
            "On-premises, give --audience"
        )
        return Finding("access", "bad", told, mend)

    async def _is_taken(self, secret: Secret) -> bool:
        try:
            return (await self._ask(secret)).reply.status != _REFUSED
        except ParagonError:
            return False


async def _minted(audience: str, user: str | None) -> Secret:
    given = now()
    before, given.audience = given.audience, audience
    try:
        return await connect.signing_key().token(user)
    finally:
        given.audience = before


def _audiences(project: str, base_url: str) -> list[str]:
    """Return the forms that were seen, the documented one first. Source: api.md 2."""
    host = (urlsplit(base_url).hostname or "").removeprefix("ms-sync.").removeprefix("sync.")
    hosts = ["useparagon.com", "dashboard.useparagon.com", host, f"dashboard.{host}"]
    return [f"{one}/{project}" for one in dict.fromkeys(hosts)]


def _unreachable(error: ParagonError, base_url: str) -> Finding:
    mend = "is the address right, and does a proxy or a firewall stand between?"
    if isinstance(error, CertificateError):
        mend = "the certificate is not trusted here: mend it, or set SSL_CERT_FILE to its authority"
    elif not isinstance(error, TransportError | DecodeError):
        return Finding("access", "bad", str(error))
    return Finding("network", "bad", f"{base_url}: {error}", mend)


def _clock(ahead: float | None) -> Finding:
    if ahead is None:
        return Finding("clock", "odd", "the service does not say what time it is")
    if abs(ahead) <= _SKEW:
        return Finding("clock", "good", f"within {_SKEW:.0f} s of the service's")
    side = "behind" if ahead > 0 else "ahead of"
    mend = "set it; a signing key makes up for it, a fixed token cannot"
    return Finding("clock", "odd", f"{abs(ahead):.0f} s {side} the service's", mend)


def _access(reply: Reply, user: str | None) -> Finding:
    try:
        syncs = decipher(endpoints.list_syncs(None), reply, now=time.time())
    except ParagonError as error:
        is_ours = reply.status == _FORBIDDEN
        mend = "the token is good and the right is missing: ask who runs the project"
        return Finding("access", "bad", str(error), mend if is_ours else "is this Managed Sync?")
    who = "the token's user" if user is None else f"user {user}"
    return Finding("access", "good", f"the credentials are taken; {who} has {len(syncs)} syncs")


def _words(reply: Reply) -> str:
    try:
        decipher(endpoints.list_syncs(None), reply, now=time.time())
    except ParagonError as error:
        return str(error)
    return str(reply.status)


def _ahead(date: str | None) -> float | None:
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
