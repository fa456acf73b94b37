"""`paragon-async demo`: the whole job on real files, with a service of its own."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import click

from paragon_async.cli.outcome import perform, stop

# They lie inside the standard library's folder: other people's packages, and files that change.
_NOT_THE_LIBRARY = ("site-packages", "dist-packages", "__pycache__")


@click.command()
@click.argument("folder", required=False)
@click.option("--to", default="demo", show_default=True, help="The folder to download into.")
@click.option("--at-once", default=16, show_default=True, type=click.IntRange(1, 256))
def demo(folder: str | None, to: str, at_once: int) -> None:
    """Sync, pull, download and verify FOLDER through an emulator in this process.

    Without FOLDER it takes the standard library of the running Python. The exit status is 0 only if
    every file was compared with its source by SHA-256 and found equal.
    """
    source = Path(folder or sysconfig.get_paths()["stdlib"])
    if not source.is_dir():
        stop(f"there is no folder {source}", 2)
    if not any(source.iterdir()):
        stop(f"the folder {source} is empty: name one that holds files", 2)
    target = _prepared(Path(to), source)
    from paragon_async.cli.tour import Tour

    skip = () if folder else _NOT_THE_LIBRARY
    tour = Tour(source=source, target=target, at_once=at_once, skip=skip)
    perform(tour.run())
    raise SystemExit(0 if tour.is_good else 1)


def _prepared(target: Path, source: Path) -> Path:
    """Make the target folder, or say why it cannot serve."""
    if target.resolve().is_relative_to(source.resolve()):
        stop(f"{target} lies inside {source}: choose another folder with --to", 2)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        stop(f"cannot make the folder {target}: {error.strerror}", 2)
    if not os.access(target, os.W_OK | os.X_OK):
        stop(f"the folder {target} cannot be written to", 2)
    return target
