"""What the commands that receive webhooks are told: where to listen, and where to pass events on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs
import click

F = TypeVar("F", bound=Callable[..., Any])
LOOPBACK = "127.0.0.1"
_PLACE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]\s/]*))(?::([0-9]{1,5}))?", re.ASCII)
_HIGHEST = 65_535


@attrs.frozen
class Address:
    """A host and a port; port 0 is any that is free."""

    host: str = LOOPBACK
    port: int = 0


def listens(command: F) -> F:
    """Give a command the options of a receiver."""
    place = click.option(
        "--listen",
        metavar="[HOST:PORT]",
        is_flag=False,
        flag_value=LOOPBACK,
        callback=address,
        help="Receive webhooks there.  [without a port: any that is free]",
    )
    secret = click.option(
        "--secret-file",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Holds the webhook's secret; several, one a line, are all valid.  "
        "[default: $PARAGON_WEBHOOK_SECRET, or one that is made]",
    )
    return place(secret(command))


def address(ctx: click.Context, param: click.Parameter, value: str | None) -> Address | None:
    """Read `HOST:PORT`, `HOST` or `PORT`."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        value = f":{value}"
    found = _PLACE.fullmatch(value) if value else None
    if found is None or int(found[3] or 0) > _HIGHEST:
        raise click.BadParameter(
            f"{value!r} is no place to listen: say it like 127.0.0.1:8080 or [::1]:8080",
            ctx=ctx,
            param=param,
        )
    return Address(found[1] or found[2] or LOOPBACK, int(found[3] or 0))


def target(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse what is no URL to post to; it is not repeated, for it may hold a password."""
    if value is not None and not _is_url(value):
        raise click.BadParameter(
            "events are passed on by http or https: say it like http://127.0.0.1:8000/hook, without "
            "user and password",
            ctx=ctx,
            param=param,
        )
    return value


def _is_url(value: str) -> bool:
    if not (value.isascii() and value.isprintable()) or " " in value:
        return False
    try:
        url = urlsplit(value)
        return bool(url.hostname and url.port != 0 and url.scheme in {"http", "https"}) and (
            url.username is None
        )
    except ValueError:
        return False
