"""`paragon-async emulator [FOLDER]`: serve a Managed Sync until stopped, or while a command runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from paragon_async.cli import output
from paragon_async.cli.frame import Command, Group, group
from paragon_async.cli.outcome import perform, plain, stop
from paragon_async.cli.settings import now
from paragon_async.cli.words import leading

if TYPE_CHECKING:
    from paragon_async.emulator import Emulator

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS = (
    click.option("--mount", multiple=True, metavar="USER=FOLDER", help="One user's own drive."),
    click.option("--records", multiple=True, metavar="PIPELINE=FILE", help="JSON lines to load."),
    click.option("--generate", multiple=True, metavar="SPEC", help="contacts:100000, files:10x32MiB"),
    click.option("--seed", default=0, help="For --generate."),
    click.option("--state", type=click.Path(dir_okay=False), help="A file that keeps everything."),
    click.option("--webhook", metavar="URL", help="Where events go."),
    click.option("--pace", default="at_once", show_default=True, help="polls:N, seconds:S, manual"),
    click.option("--deletes", type=click.Choice(["at_once", "full_run"]), default="at_once"),
    click.option("--rescan", default=2.0, show_default=True, help="Seconds between looks; 0: none."),
    click.option("--settle", default=0.1, show_default=True, help="Seconds a file has to rest."),
    click.option("--rate", metavar="N/s", help="Bound every user's calls: 20/s, 600/m."),
    click.option("--burst", default=40, show_default=True, type=click.IntRange(1)),
    click.option("--no-ranges", is_flag=True, help="No ETag and no ranges: the service promises none."),
)  # fmt: skip


def _options(command: F) -> F:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


class Serving(Group):
    """A group that serves unless another command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take everything but `exec` for what is to be served."""
        first = leading(args)
        if not args[first:] or args[first] not in {*self.commands, "-h", "--help"}:
            args = [*args[:first], "serve", *args[first:]]
        return super().parse_args(ctx, args)


class Beside(Command):
    """A command whose arguments after `--` are another command, taken as they are."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set the other command aside before options are looked for."""
        where = args.index("--") if "--" in args else len(args)
        ctx.meta["command"] = tuple(args[where + 1 :])
        return super().parse_args(ctx, args[:where])


@group(cls=Serving)
def emulator() -> None:
    """Serve a Managed Sync on loopback: `emulator [FOLDER]`, or `emulator exec [FOLDER] -- COMMAND`.

    `emulator serve --help` shows the options.
    """


@emulator.command()
@click.argument("folder", required=False)
@click.option(
    "--port", default=4620, show_default=True, type=click.IntRange(0, 65535), help="0: any"
)
@click.option("--ready-file", type=click.Path(dir_okay=False), help="Written when it listens.")
@_options
def serve(folder: str | None, port: int, ready_file: str | None, **options: Any) -> None:
    """Serve FOLDER as the drive of every connected user, on loopback.

    Prints the lines that point any client at it. Ctrl-C or SIGTERM stops it.
    """
    perform(_serve(folder, port, ready_file, options))


@emulator.command("exec", cls=Beside)
@click.argument("folder", required=False, metavar="[FOLDER] -- COMMAND...")
@_options
@click.pass_context
def execute(ctx: click.Context, /, folder: str | None, **options: Any) -> None:
    """Serve while COMMAND runs with the environment set, and pass on its exit status."""
    command = ctx.meta["command"]
    if not command:
        stop("say it like this: paragon-async emulator exec [FOLDER] -- COMMAND", 2)
    raise SystemExit(perform(_execute(folder, command, options)))


def _made(folder: str | None, port: int, options: dict[str, Any]) -> Emulator:
    from paragon_async.emulator import Emulator

    records: dict[str, list[str]] = {}
    for pipeline, file in (_pair(one, "--records PIPELINE=FILE") for one in options.pop("records")):
        records.setdefault(pipeline, []).append(file)
    mounts = dict(_pair(one, "--mount USER=FOLDER") for one in options.pop("mount"))
    ranges = not options.pop("no_ranges")
    return Emulator(folder, port=port, mounts=mounts, records=records, ranges=ranges, **options)


def _pair(given: str, form: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not (name and equals and value):
        stop(f"say it like this: {form}, not {given!r}", 2)
    return name, value


async def _serve(
    folder: str | None, port: int, ready_file: str | None, options: dict[str, Any]
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows has no such handlers
            loop.add_signal_handler(number, stopped.set)
    async with _made(folder, port, options) as running:
        lines = [f"export {name}={shlex.quote(v)}" for name, v in running.environ.items()]
        shown = folder or "an empty account"
        told = f"{shown} is served at {running.url}; any user id works; Ctrl-C stops"
        if now().json:
            print(json.dumps({"url": running.url, "environ": running.environ}), flush=True)
            output.note(told)
        else:
            print("\n".join([*lines, f"# {plain(told)}"]), flush=True)
        if ready_file:
            _written(Path(ready_file), "\n".join(lines) + "\n")
        await stopped.wait()


def _written(path: Path, text: str) -> None:
    """Write the ready file in one step; it holds the key, so only its owner may read it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123  # a descriptor
        file.write(text)
    beside.replace(path)


async def _execute(folder: str | None, command: tuple[str, ...], options: dict[str, Any]) -> int:
    async with _made(folder, 0, options) as running:
        try:
            child = await asyncio.create_subprocess_exec(
                *command, env={**os.environ, **running.environ}
            )
        except OSError as error:
            stop(f"cannot run {command[0]}: {error.strerror}", 127)
        loop = asyncio.get_running_loop()
        # The terminal sends Ctrl-C to the child too: it decides how to end, we wait for it.
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.add_signal_handler(signal.SIGTERM, child.terminate)
        status = await child.wait()
        return status if status >= 0 else 128 - status
