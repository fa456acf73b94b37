"""The client of a command: credentials from its options, or else from the environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from paragon_async.cli import output
from paragon_async.cli.settings import now

if TYPE_CHECKING:
    from paragon_async import ConnectedUser, Exchange, Paragon
    from paragon_async.auth import SigningKey

F = TypeVar("F", bound=Callable[..., Any])


def named(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty name: it is a variable that is not set, and means no folder, user or sync."""
    if value is not None and not value:
        raise click.BadParameter("it is empty: name one", ctx=ctx, param=param)
    return value


def user_option(command: F) -> F:
    """Give a command the option that says whose syncs are meant."""
    return click.option(
        "--user", callback=named, help="The connected user; a user token implies one."
    )(command)


def sync_argument(command: F) -> F:
    """Give a command the sync it is about."""
    return click.argument("sync", callback=named)(command)


def client(**options: Any) -> Paragon:
    """Return a client with the credentials that were given. Raises `ConfigurationError`."""
    from paragon_async import Paragon

    options.setdefault("observe", _noticed)
    given = now()
    if given.audience and not given.user_token:
        return Paragon(tokens=signing_key(), base_url=given.base_url, **options)
    return Paragon(
        project_id=given.project_id,
        signing_key=given.signing_key,
        token=given.user_token,
        base_url=given.base_url,
        **options,
    )


def _noticed(exchange: Exchange) -> None:
    """Say with -v why nothing comes just now."""
    if exchange.wait is not None:
        why = exchange.status or exchange.error
        again = f"trying again in {exchange.wait:.1f} s"
        output.detail(f"{exchange.method} {exchange.path}: {why}, {again}")


def signing_key(lifetime: float | None = None) -> SigningKey:
    """Return the project's key. Raises `ConfigurationError` where there is none, or it cannot be."""
    from paragon_async.auth import SigningKey
    from paragon_async.errors import ConfigurationError

    given, env = now(), os.environ
    key = given.signing_key or env.get("PARAGON_SIGNING_KEY")
    project = given.project_id or env.get("PARAGON_PROJECT_ID")
    if not key or not project:
        lacking = "a project's id" if key else "a signing key"
        raise ConfigurationError(
            f"no credentials: {lacking} is needed (PARAGON_SIGNING_KEY with PARAGON_PROJECT_ID)"
        )
    text = env.get("PARAGON_TOKEN_EXPIRATION_SECONDS", "3600")
    try:
        life = float(text) if lifetime is None else lifetime
    except ValueError:
        raise ConfigurationError(
            f"PARAGON_TOKEN_EXPIRATION_SECONDS must be a number of seconds, not {text!r}"
        ) from None
    return SigningKey(project, key, lifetime=life, audience=given.audience)


def whose(paragon: Paragon, user: str | None) -> ConnectedUser:
    """Return the user that was named, or that a token implies."""
    from paragon_async.errors import ConfigurationError

    try:
        return paragon.user(user)
    except ConfigurationError:
        raise ConfigurationError("whose sync is it? Name the user: --user USER") from None
