"""`paragon-async completion bash|zsh|fish`: the script that completes commands in a shell."""

from __future__ import annotations

import click

from paragon_async.cli.frame import command

VARIABLE = "_PARAGON_ASYNC_COMPLETE"


@command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands in a shell.

    \b
    bash  eval "$(paragon-async completion bash)"                      in ~/.bashrc
    zsh   eval "$(paragon-async completion zsh)"                       in ~/.zshrc
    fish  paragon-async completion fish > ~/.config/fish/completions/paragon-async.fish
    """  # noqa: D301  # the mark by which click leaves a paragraph as it is
    from click.shell_completion import get_completion_class

    from paragon_async.cli.root import cli

    found = get_completion_class(shell)
    if found is not None:
        print(found(cli, {}, "paragon-async", VARIABLE).source())
