"""python -m tests.fuzz TARGET --seconds N: look for inputs that break a promise, before a release.

With atheris installed the coverage of the library leads; without it inputs are made by a dice alone.
A finding is written to the folder of --findings, and the command ends with 1; to see it again:
python -m tests.fuzz TARGET --again FILE.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.mutate import mutations
from tests.fuzz.seeds import SEEDS, WORDS

Target = Callable[[bytes], None]
_LONGEST = "8192"


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz one target; return 1 where there was a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=SEEDS)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--inputs", type=int, help="end after so many, and use no atheris")
    parser.add_argument("--findings", type=Path, default=Path("findings"), help="where they go")
    parser.add_argument("--corpus", type=Path, help="a folder that keeps what reached new code")
    parser.add_argument("--again", type=Path, help="run this one input and nothing else")
    chosen = parser.parse_args(arguments)
    if chosen.again:
        return by_dice(_target(chosen.target), [chosen.again.read_bytes()], chosen.findings)
    if chosen.inputs or not find_spec("atheris"):
        inputs = itertools.islice(mutations(SEEDS[chosen.target], WORDS), chosen.inputs)
        return by_dice(_target(chosen.target), inputs, chosen.findings, seconds=chosen.seconds)
    return by_coverage(chosen)


def by_dice(
    target: Target, inputs: Iterable[bytes], findings: Path, *, seconds: float = float("inf")
) -> int:
    """Give *inputs* to the target until one breaks it, or the time is over."""
    begun, count = time.monotonic(), 0
    for data in inputs:
        try:
            target(data)
        except Exception:  # noqa: BLE001  # whatever it is, it is the finding
            traceback.print_exc()
            say(f"a finding after {count} inputs: {keep(data, findings)}")
            return 1
        count += 1
        if time.monotonic() - begun > seconds:
            break
    say(f"{count} inputs in {time.monotonic() - begun:.1f} s, no finding")
    return 0


def by_coverage(chosen: argparse.Namespace) -> int:
    """Let atheris look, in a process of its own: it ends it, and writes its finding by itself."""
    with tempfile.TemporaryDirectory() as start:
        for data in SEEDS[chosen.target]:
            keep(data, Path(start, "seeds"))
        words = "".join(f'"{_escaped(word)}"\n' for word in WORDS)
        Path(start, "words").write_text(words)
        folders = [chosen.corpus] if chosen.corpus else []
        for folder in (chosen.findings, *folders):
            folder.mkdir(parents=True, exist_ok=True)
        flags = {
            "max_total_time": int(chosen.seconds),
            "max_len": _LONGEST,
            "artifact_prefix": f"{chosen.findings}/{chosen.target}-",
            "dict": f"{start}/words",
            "print_final_stats": 1,
            "timeout": 60,
        }
        options = [f"-{name}={value}" for name, value in flags.items()]
        program = ("-m", "tests.fuzz.covered", chosen.target, *options, *map(str, folders))
        run = subprocess.run([sys.executable, *program, f"{start}/seeds"], check=False)
    return min(run.returncode, 1) if run.returncode >= 0 else 1


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def keep(data: bytes, folder: Path) -> Path:
    """Write an input under a name that follows from it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _target(name: str) -> Target:
    from tests.fuzz.targets import TARGETS

    return TARGETS[name]


if __name__ == "__main__":
    sys.exit(main())
