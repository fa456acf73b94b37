"""The root of the command, and how errors leave it: one sentence, a status, no traceback.

0 done   1 done, but something was not as it should be   2 usage   3 stopped by an error
"""

from __future__ import annotations

from typing import Any

import click

from paragon_async._version import __version__
from paragon_async.cli.outcome import stop

_INTERRUPTED = 130


class Commands(click.Group):
    """Finds a command by its module, so that only the one that runs is imported."""

    names = ("demo", "emulator", "ingest", "webhooks")

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(self.names)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Import one command."""
        match name:
            case "demo":
                from paragon_async.cli.demo import demo as command
            case "emulator":
                from paragon_async.cli.emulator import emulator as command
            case "ingest":
                from paragon_async.cli.ingest import ingest as command
            case "webhooks":
                from paragon_async.cli.webhooks import webhooks as command
            case _:
                return None
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an interrupt before it has begun ends like any other."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            stop("interrupted", _INTERRUPTED)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="paragon-async")
def cli() -> None:
    """Work with Paragon's Managed Sync, or with an emulator of it on this machine."""


def run() -> None:
    """Run the command with the process's arguments."""
    cli(prog_name="paragon-async")
