"""Where the global options end and the command begins. Pure, and imports nothing: signals need it."""

from __future__ import annotations

from collections.abc import Sequence

# Those of the global options that take a value; a test holds this to what `settings` declares.
VALUED = frozenset({"--project-id", "--signing-key", "--user-token", "--base-url", "--audience"})
FLAGS = frozenset(
    {"-q", "--quiet", "-v", "--verbose", "--json", "--no-json", "--log-json", "--debug"}
)


def leading(arguments: Sequence[str]) -> int:
    """Return how many of the first *arguments* are global options with their values."""
    count = 0
    while count < len(arguments):
        word = arguments[count]
        if word in VALUED:
            count += 2
        elif word in FLAGS or word.partition("=")[0] in VALUED or _is_short(word):
            count += 1
        else:
            break
    return min(count, len(arguments))


def commands(arguments: Sequence[str]) -> list[str]:
    """Return the command and the one below it, as far as *arguments* name them."""
    rest = arguments[leading(arguments) :]
    below = rest[1:]
    return [*rest[:1], *below[leading(below) :][:1]]


def says(arguments: Sequence[str], flag: str) -> bool:
    """Tell whether *flag* is among *arguments*, and not in another command's after `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return flag in arguments[:end]


def _is_short(word: str) -> bool:
    return len(word) > 1 and word[0] == "-" and not word[1:].strip("qv")
