"""What `doctor` sees without asking anybody: programs, credentials, the address, logging."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Literal

import attrs

from paragon_async import FixedToken, Paragon, logs
from paragon_async._version import __version__
from paragon_async.auth import Rejection, Secret, TokenSource
from paragon_async.cli import claims, connect
from paragon_async.cli.settings import now
from paragon_async.errors import ConfigurationError

State = Literal["good", "odd", "bad"]
_EXTRAS = {"parquet": "pyarrow", "cloud": "obstore", "watch": "watchfiles", "otel": "opentelemetry"}
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@attrs.frozen
class Finding:
    """One line: what was looked at, how it is, what was found, and how it is mended."""

    check: str
    state: State
    told: str
    mend: str | None = None

    def values(self) -> dict[str, str | None]:
        """Return the keys that a program reads."""
        return {"check": self.check, "state": self.state, "told": self.told, "mend": self.mend}


class NoTokens:
    """Credentials for what asks nothing of the service."""

    async def token(self, user_id: str | None, *, rejected: Rejection | None = None) -> Secret:
        """Refuse."""
        raise ConfigurationError(f"there are no credentials for {user_id or rejected}")


@attrs.define
class Settled:
    """What is set. *tokens* and *base_url* are None where they cannot be used."""

    tokens: TokenSource | None = None
    base_url: str | None = None

    def look(self) -> Iterator[Finding]:
        """Yield what is found, in the order in which it matters."""
        extras = [name for name, module in _EXTRAS.items() if find_spec(module)]
        told = (
            f"paragon-async {__version__}, Python {platform.python_version()}, {platform.system()}"
        )
        yield Finding("program", "good", f"{told}; extras: {', '.join(extras) or 'none'}")
        yield from self._credentials()
        yield self._address()
        yield from _logging()

    def _credentials(self) -> Iterator[Finding]:
        given, env = now(), os.environ
        key = given.signing_key or env.get("PARAGON_SIGNING_KEY")
        token = given.user_token or env.get("PARAGON_USER_TOKEN")
        if given.user_token or (token and not key):
            yield self._token(given.user_token or env["PARAGON_USER_TOKEN"])
            return
        if not key:
            yield Finding(
                "credentials",
                "bad",
                "there are none",
                "set PARAGON_SIGNING_KEY and PARAGON_PROJECT_ID, or PARAGON_USER_TOKEN",
            )
            return
        project = given.project_id or env.get("PARAGON_PROJECT_ID")
        yield _project(project)
        try:
            made = connect.signing_key()
        except ConfigurationError as error:
            if project:
                mend = "copy it again from Paragon's dashboard, Settings > SDK Setup"
                yield Finding("key", "bad", str(error), mend)
            return
        self.tokens = made
        place = "--signing-key" if given.signing_key else "PARAGON_SIGNING_KEY"
        told = f"an RSA key from {place}; tokens are for {made.audience} and live {made.lifetime:.0f} s"
        if token:
            yield Finding("key", "odd", told, "it is used, and PARAGON_USER_TOKEN is not")
        else:
            yield Finding("key", "good", told)

    def _token(self, token: str) -> Finding:
        try:
            found = claims.explained(
                token, project=now().project_id or os.environ.get("PARAGON_PROJECT_ID")
            )
            self.tokens = FixedToken(token)
        except ConfigurationError as error:
            return Finding("token", "bad", str(error), "mint one: paragon-async token mint")
        if found["problems"]:
            return Finding("token", "bad", "; ".join(found["problems"]))
        return Finding("token", "good", f"of user {found['user']}, {found['seconds_left']} s left")

    def _address(self) -> Finding:
        given, env = now().base_url, os.environ.get("PARAGON_BASE_URL")
        try:
            self.base_url = Paragon(tokens=NoTokens(), base_url=given).base_url
        except ConfigurationError as error:
            return Finding("address", "bad", str(error))
        place = "--base-url" if given else "PARAGON_BASE_URL" if env else "as nothing else is set"
        return Finding("address", "good", f"{self.base_url}, {place}")


def _project(project: str | None) -> Finding:
    if not project:
        mend = "set PARAGON_PROJECT_ID: it stands in the dashboard's address and in Settings"
        return Finding("project", "bad", "it is not set, and a signing key needs it", mend)
    if not _ID.fullmatch(project):
        mend = "look it up in Paragon's dashboard"
        return Finding("project", "odd", f"{project} is no UUID, as Paragon's are", mend)
    return Finding("project", "good", project)


def _logging() -> Iterator[Finding]:
    text = os.environ.get(logs.VARIABLE, "").strip()
    if not text:
        return
    try:
        logs.read(text)
    except ValueError as error:
        yield Finding("logging", "odd", f"{logs.VARIABLE} is not understood: {error}")
    else:
        yield Finding("logging", "good", f"{logs.VARIABLE}={text}")
