"""`paragon-async demo`: the whole job on real files, with a service of its own."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

import click

from paragon_async.cli.outcome import perform, stop

# They lie inside the standard library's folder: other people's packages, and files that change.
_NOT_THE_LIBRARY = ("site-packages", "dist-packages", "__pycache__")
_MARKER = ".paragon-demo"
_MADE = ("files", "records", ".paragon")


@click.command()
@click.argument("folder", required=False)
@click.option("--to", default="demo", show_default=True, help="The folder of the mirror.")
@click.option("--at-once", default=16, show_default=True, type=click.IntRange(1, 256))
def demo(folder: str | None, to: str, at_once: int) -> None:
    """Mirror FOLDER through an emulator in this process, verify it, change a copy, mirror again.

    Without FOLDER it takes the standard library of the running Python. FOLDER itself is only read. A
    mirror that an earlier demo left is replaced. The exit status is 0 only if every file was compared
    with its source by SHA-256 and found equal, and the second time only what had changed moved.
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
    """Make the target folder, empty and marked as the demo's, or say why it cannot serve."""
    if target.resolve().is_relative_to(source.resolve()):
        stop(f"{target} lies inside {source}: choose another folder with --to", 2)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        stop(f"cannot make the folder {target}: {error.strerror}", 2)
    if not os.access(target, os.W_OK | os.X_OK):
        stop(f"the folder {target} cannot be written to", 2)
    marker = target / _MARKER
    try:
        if not marker.exists() and any(target.iterdir()):
            stop(f"the folder {target} holds files that no demo made: choose another with --to", 2)
        marker.touch()
        _emptied(target)
    except OSError as error:
        stop(f"cannot make room in {target}: {error.strerror}", 2)
    return target


def _emptied(target: Path) -> None:
    """Remove what a demo made, and nothing else; a demo at work there keeps it."""
    from paragon_async.ingest.overview import holder

    if found := holder(target / ".paragon" / "lock"):
        stop(f"the folder {target} is in use: {found} works on it", 2)
    for name in _MADE:
        if (target / name).exists():
            shutil.rmtree(target / name)
