"""`paragon-async demo`: the whole job on real files, with a service of its own."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

import click

from paragon_async.cli.frame import command
from paragon_async.cli.outcome import STOPPED, WRONG, perform, stop

# They lie inside the standard library's folder: other people's packages, and files that change.
_NOT_THE_LIBRARY = ("site-packages", "dist-packages", "__pycache__")
_MARKER = ".paragon-demo"
_MADE = ("files", "records", ".paragon")


@command()
@click.argument("folder", required=False)
@click.option("--to", default="demo", show_default=True, help="The folder of the mirror.")
@click.option("--at-once", default=16, show_default=True, type=click.IntRange(1, 256))
def demo(folder: str | None, to: str, at_once: int) -> None:
    """Mirror FOLDER through an emulator in this process, verify it, change a copy, mirror again.

    Without FOLDER it takes the standard library of the running Python. FOLDER itself is only read. A
    mirror that an earlier demo left is replaced. The exit status is 0 only if every file was compared
    with its source by SHA-256 and found equal, and the second time only what had changed moved.
    """
    for name in (folder, to):
        if name is not None and not name:
            stop("the name of a folder is empty: name one", WRONG)
    source = Path(folder or sysconfig.get_paths()["stdlib"])
    skip = () if folder else _NOT_THE_LIBRARY
    if not source.is_dir():
        stop(f"there is no folder {source}", WRONG)
    if not _has_files(source, skip):
        stop(f"there is no file in {source}: name a folder that holds files", WRONG)
    target = _prepared(Path(to), source)
    from paragon_async.cli.tour import Tour

    tour = Tour(source=source, target=target, at_once=at_once, skip=skip)
    perform(tour.run())
    raise SystemExit(0 if tour.is_good else 1)


def _has_files(source: Path, skip: tuple[str, ...]) -> bool:
    """Tell whether the emulator would serve anything of it."""
    from paragon_async.emulator.folder import GRANTS, look

    seen = look(source, frozenset(skip)).seen
    return any(not one.is_folder and one.path.rpartition(b"/")[2] != GRANTS for one in seen)


def _prepared(target: Path, source: Path) -> Path:
    """Make the target folder, empty and marked as the demo's, or say why it cannot serve."""
    if target.resolve().is_relative_to(source.resolve()):
        stop(f"{target} lies inside {source}: choose another folder with --to", WRONG)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        stop(f"cannot make the folder {target}: {error.strerror}", WRONG)
    if not os.access(target, os.W_OK | os.X_OK):
        stop(f"the folder {target} cannot be written to", WRONG)
    marker = target / _MARKER
    try:
        if not marker.exists() and any(target.iterdir()):
            stop(
                f"the folder {target} holds files that no demo made: choose another with --to",
                STOPPED,
            )
        marker.touch()
        _emptied(target)
    except OSError as error:
        stop(f"cannot make room in {target}: {error.strerror}", WRONG)
    return target


def _emptied(target: Path) -> None:
    """Remove what a demo made, and nothing else; a demo at work there keeps it."""
    from paragon_async.ingest.overview import holder

    if found := holder(target / ".paragon" / "lock"):
        stop(f"the folder {target} is in use: {found} works on it", STOPPED)
    for name in _MADE:
        if (target / name).exists():
            shutil.rmtree(target / name)
