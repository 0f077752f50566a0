"""``accord completion``: the script that completes commands and options in a shell."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}

VARIABLE = "_ACCORD_COMPLETE"
"""The variable in which a shell asks ``accord`` for completions."""


@click.command()
@click.argument("shell", type=click.Choice(tuple(_SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: accord completion bash > /etc/bash_completion.d/accord
    zsh:  accord completion zsh > /usr/local/share/zsh/site-functions/_accord
    fish: accord completion fish > ~/.config/fish/completions/accord.fish"""
    root = context.find_root().command
    click.echo(_SHELLS[shell](root, {}, "accord", VARIABLE).source())
