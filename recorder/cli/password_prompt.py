"""A new password for a command: typed, from standard input or from a file; never an argument, which every
user of the machine sees in the list of processes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from recorder.seal.keyring import read_private


def password_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where a command reads a password from: ``from_stdin`` and ``from_file``."""
    command = click.option(
        "--password-file",
        "from_file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Read it from the first line of a file that only its owner reads.",
    )(command)
    return click.option(
        "--password-stdin", "from_stdin", is_flag=True, help="Read it from the first line of standard input."
    )(command)


def read_password(from_stdin: bool, from_file: Path | None) -> str:
    """Read the password; prompt for it, twice, where neither option is given.  Raises ``UsageError``,
    :class:`recorder.errors.ConfigError` (a file that others can read)."""
    if from_stdin and from_file is not None:
        raise click.UsageError("--password-stdin or --password-file, not both")
    if from_file is not None:
        return _first_line(read_private(from_file).decode("utf-8", "replace"))
    if from_stdin:
        return _first_line(sys.stdin.readline())
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _first_line(text: str) -> str:
    return text.partition("\n")[0].removesuffix("\r")
