"""`paragon-async token`: mint one, or explain one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from paragon_async.cli.connect import named
from paragon_async.cli.exits import Exit
from paragon_async.cli.frame import group
from paragon_async.cli.outcome import perform, stop
from paragon_async.cli.settings import now

_VARIABLE = "PARAGON_USER_TOKEN"


@group()
def token() -> None:
    """Mint a user token, or explain one."""


@token.command()
@click.option("--user", required=True, callback=named, help="The connected user it is for.")
@click.option("--lifetime", type=float, metavar="SECONDS", help="[3600]")
def mint(user: str, lifetime: float | None) -> int:
    """Print a new token for a user, and nothing else.

    This is the only command that prints a token. It is no JSON unless --json is said:

    \b
    export PARAGON_USER_TOKEN="$(paragon-async token mint --user user-1)"
    """  # noqa: D301  # the mark by which click leaves a paragraph as it is
    return perform(_mint(user, lifetime))


async def _mint(user: str, lifetime: float | None) -> int:
    from paragon_async.cli import claims, connect, output

    made = (await connect.signing_key(lifetime).token(user)).reveal()
    if now().json:
        found = claims.explained(made)
        output.line(
            {"token": made, **{key: found[key] for key in ("user", "audience", "expires_at")}}
        )
    else:
        print(made)
    return Exit.GOOD


@token.command()
@click.argument("given", metavar="[TOKEN|@FILE|-]", required=False)
def explain(given: str | None) -> int:
    """Show what a token says, how long it lives, and what is wrong with it.

    Without an argument it is $PARAGON_USER_TOKEN; with `-` it is read from standard input, which does
    not leave it in the shell's history. No key is needed: the signature is neither checked nor shown.
    The status is 1 when the service would refuse the token.
    """
    return perform(_explain(_read(given)))


async def _explain(text: str) -> int:
    from paragon_async.cli import claims, output

    project = now().project_id or os.environ.get("PARAGON_PROJECT_ID")
    found = claims.explained(text, project=project)
    problems = found["problems"]
    output.one(found if now().for_program else {k: v for k, v in found.items() if k != "problems"})
    for problem in problems:
        output.warn(problem)
    return Exit.NOT_ALL if problems else Exit.GOOD


def _read(given: str | None) -> str:
    if given is None:
        given = now().user_token or os.environ.get(_VARIABLE)
        if not given:
            stop("there is no token: name one, or set PARAGON_USER_TOKEN", Exit.WRONG)
    if given == "-":
        return sys.stdin.read()
    if given[:1] != "@":
        return given
    try:
        return Path(given[1:]).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        stop(f"cannot read the token in {given[1:]}: {why}", Exit.WRONG)
