"""A picture of a command is of a real run, and loads nothing."""

from __future__ import annotations

import re
import sys

import pytest

from benchmarks import picture

PROGRAM = (
    "import sys, time\n"
    "assert sys.stdout.isatty()\n"
    "print('\\x1b[32mgreen\\x1b[0m words')\n"
    "for n in range(3): print(f'\\r\\x1b[2Kstep {n}', end='', flush=True)\n"
    "print()\n"
    "raise SystemExit(3)\n"
)


def test_what_stands_on_the_screen_at_the_end_is_drawn(tmp_path):
    """The command runs on a terminal; its last lines, colours and status are kept."""
    target = tmp_path / "a.svg"
    assert picture.main([str(target), "--", sys.executable, "-c", PROGRAM]) == 3
    svg = target.read_text()
    words = re.sub(r"<[^>]+>", "", svg.partition("</style>")[2]).replace("&#160;", " ")
    assert "green words" in words and "step 2" in words and "step 1" not in words
    assert "url(http" not in svg and "@font-face" not in svg and "<image" not in svg


@pytest.mark.parametrize("argv", [[], ["a.svg"], ["a.svg", "--"], ["--", "true"]])
def test_a_wrong_call_is_told(argv, capsys):
    """Without a file and a command the use is shown, and nothing runs."""
    assert picture.main(argv) == 2
    assert "use: python -m benchmarks.picture" in capsys.readouterr().err
