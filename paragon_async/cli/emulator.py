"""`paragon-async emulator FOLDER`: serve a folder as a Managed Sync until stopped."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal

import click

from paragon_async.cli.outcome import perform


@click.command()
@click.argument("folder")
@click.option(
    "--port", default=4620, show_default=True, type=click.IntRange(0, 65535), help="0: any"
)
def emulator(folder: str, port: int) -> None:
    """Serve FOLDER as the Google Drive of every connected user, on loopback.

    Prints the lines that point any client at it. Ctrl-C or SIGTERM stops it.
    """
    perform(_serve(folder, port))


async def _serve(folder: str, port: int) -> None:
    from paragon_async.emulator import Emulator

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows has no such handlers
            loop.add_signal_handler(number, stopped.set)
    async with Emulator(folder, port=port) as running:
        for name, value in running.environ.items():
            print(f"export {name}={shlex.quote(value)}", flush=True)
        print(f"# {folder} is served at {running.url}; any user id works; Ctrl-C stops", flush=True)
        await stopped.wait()
