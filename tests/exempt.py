"""Where a secret is meant to be: few places, each with its reason. Everything else is a leak."""

from __future__ import annotations

# Tests whose command prints a secret because that is what it was asked for; by the end of their names.
OUTPUT: dict[str, str] = {
    "tests/cli/test_token.py::test_mint": "`token mint` prints the token, which is what it is for",
    "tests/cli/test_token.py::test_explain": "mints the token that it lets be explained",
    "tests/cli/test_commands.py::test_credentials": "mints the token that it then gives in a file",
    "tests/cli/test_terminal.py::test_token": "`token mint` on a terminal",
    "tests/cli/test_everywhere.py::test_every_command": "`token mint` is one of them",
}

# Files, by a pattern of their path, that hold a secret because keeping it is what they are for.
FILES: dict[str, str] = {
    r"\.pem$|/netrc$": "a key or a password of a test, written to be read",
    r"/test_wrong_secret\d*/secrets$": "the secrets that a command is told to read",
    r"/emulator\.db(-wal)?$": "the emulator's state keeps its made-up project, key and all, for its owner",
    r"/test_trigger\d*/ready$": "what the emulator prints for a shell to export",
}
