"""The root of the command: which commands there are, and what its help shows.

A command's module is imported when it is named; the table holds the line that help shows of it.
"""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import Any

import click

from paragon_async._version import __version__
from paragon_async.cli.exits import MEANING
from paragon_async.cli.frame import Group
from paragon_async.cli.settings import CONNECTING, SPEAKING

# name: module, and what help says of it; a test holds the line to the command's own.
COMMANDS = {
    "syncs": ("syncs", "List, enable, watch, change, pause and delete syncs."),
    "pull": ("pull", "Pull the records of a sync."),
    "download": ("download", "Download contents of a sync."),
    "get": ("get", "Show records by their ids."),
    "permissions": ("permissions", "Ask who may see what, and why."),
    "ingest": ("ingest", "Mirror a sync into a folder, and keep it up to date."),
    "webhooks": ("webhooks", "Receive webhooks, or make an emulator send them."),
    "token": ("token", "Mint a user token, or explain one."),
    "doctor": ("doctor", "Tell what is set, what is reachable, and what is wrong."),
    "emulator": ("emulator", "Serve a Managed Sync on this machine."),
    "demo": ("demo", "See the whole job on real files, without an account."),
    "completion": ("completion", "Print the script that completes commands in a shell."),
    "help": ("help", "Show the help of a command, or a topic: exits, environment."),
}


class Commands(Group):
    """Finds a command by its module, so that only the one that runs is imported."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Import one command."""
        if name not in COMMANDS:
            return None
        module = import_module(f"paragon_async.cli.{COMMANDS[name][0]}")
        found: click.Command = getattr(module, name)
        return found

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the commands, without importing one, then the options of them all."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, told) for name, (_, told) in COMMANDS.items()])
        shown = [p for p in super(click.Group, self).get_params(ctx) if p in self.params]
        own = [p for p in (*shown, self.get_help_option(ctx)) if p is not None]
        for title, options in (
            ("Options of every command, before or after it", [*SPEAKING, *own]),
            ("Credentials and place, else from the environment", [*CONNECTING]),
        ):
            with formatter.section(title):
                formatter.write_dl([r for o in options if (r := o.get_help_record(ctx))])
        with formatter.section("Exit statuses"):
            formatter.write_dl([(str(int(status)), told) for status, told in MEANING.items()])


@click.command(
    "paragon-async", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="paragon-async")
def cli() -> None:
    """Work with Paragon's Managed Sync, or with an emulator of it on this machine.

    Answers are tables on a terminal, and JSON lines with stable keys elsewhere.

    \b
    paragon-async demo                               no account needed
    paragon-async doctor                             is everything set?
    paragon-async syncs list --user user-1
    paragon-async ingest SYNC --user user-1 --to mirror
    """  # noqa: D301  # the mark by which click leaves a paragraph as it is


class _Nowhere(io.TextIOBase):
    """A stream that was closed by who called: it takes what is printed, and keeps nothing."""

    def write(self, text: str) -> int:
        """Take *text*."""
        return len(text)


def run() -> Any:
    """Run the command with the process's arguments."""
    sys.stdout = sys.stdout or _Nowhere()
    sys.stderr = sys.stderr or _Nowhere()
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown as its escape.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    return cli.main(prog_name="paragon-async", complete_var="_PARAGON_ASYNC_COMPLETE")
