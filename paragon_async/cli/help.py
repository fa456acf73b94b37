"""`paragon-async help [COMMAND...]`, and two topics: `help exits` and `help environment`."""

from __future__ import annotations

import click

from paragon_async.cli.exits import MEANING
from paragon_async.cli.frame import Unknown, command

ENVIRONMENT = {
    "PARAGON_PROJECT_ID": "the project that the key belongs to",
    "PARAGON_SIGNING_KEY": "the project's private key: PEM, PEM with literal \\n, or @FILE; it mints a "
    "token for each user",
    "PARAGON_USER_TOKEN": "a token of one user, where there is no key",
    "PARAGON_TOKEN_EXPIRATION_SECONDS": "how long a minted token lives; 3600",
    "PARAGON_BASE_URL": "the service; https://sync.useparagon.com",
    "PARAGON_WEBHOOK_SECRET": "the secret that a webhook's URL ends with; several, parted by blanks",
    "PARAGON_LOG": "what the library logs: debug, info, or by part as in http=debug,ingest=info",
    "NO_COLOR": "anything: no colours",
}
_NAME = "paragon-async"
TOPICS = ("exits", "environment")


@command()
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def help(ctx: click.Context, words: tuple[str, ...]) -> None:  # noqa: A001  # so it is called
    """Show the help of a command, or a topic: exits, environment."""
    if words == ("exits",):
        print(_listed({str(int(status)): told for status, told in MEANING.items()}))
        return
    if words == ("environment",):
        print(_listed(ENVIRONMENT))
        return
    place = ctx.find_root()
    found: click.Command = place.command
    for word in words:
        below = found.get_command(place, word) if isinstance(found, click.Group) else None
        if below is None:
            names = found.list_commands(place) if isinstance(found, click.Group) else []
            raise Unknown(word, [*names, *TOPICS], place, after=f"{_NAME} help")
        place = click.Context(below, info_name=word, parent=place)
        found = below
    print(found.get_help(place))


def _listed(values: dict[str, str]) -> str:
    formatter = click.HelpFormatter()
    formatter.write_dl(list(values.items()))
    return formatter.getvalue().rstrip()
