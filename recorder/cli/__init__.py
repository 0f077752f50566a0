"""The command line, a module for each noun.  Errors for the operator are printed here, in one place."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from recorder import __version__, config
from recorder.cli import logs
from recorder.errors import AccordError
from recorder.processes.services import Context

_COMMANDS: Final = {
    "run": "processes",
    "daemon": "processes",
    "worker": "processes",
    "web": "processes",
    "migrate": "processes",
    "init": "init",
    "upgrade": "upgrade",
    "doctor": "doctor",
    "status": "status",
    "verify": "verify",
    "audit": "audit",
    "rebuild": "rebuild",
    "backup": "backup",
    "restore": "backup",
    "keys": "keys",
    "store": "store",
    "take": "take",
    "hold": "holds",
    "keeping": "retention",
    "recording": "retention",
    "tenant": "tenants",
    "usage": "usage",
    "user": "users",
    "token": "tokens",
    "line": "lines",
    "announcement": "announcements",
    "prompts": "prompts",
    "country": "country",
    "person": "subject_requests",
}
"""Each command's module, which is imported when the command is called for: a daemon that starts again while
calls wait for it needs few of them."""

_BELOW: Final = {
    "tenant": (("adopt", "adopt"), ("offboarding", "leave")),
    "recording": (("imports", "bring_in"),),
}
"""Commands of a group that have a module of their own."""


class _Edge(click.Group):
    """Prints an error and its hint without a traceback, and exits with 1; with 2, "wrong", from the commands
    that report a state."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        found: click.Command = getattr(import_module(f"recorder.cli.{module}"), cmd_name)
        for other, name in _BELOW.get(cmd_name, ()):
            assert isinstance(found, click.Group)
            found.add_command(getattr(import_module(f"recorder.cli.{other}"), name))
        return found

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AccordError as error:
            click.echo(f"accord: {error.message}", err=True)
            if error.hint:
                click.echo(f"        {error.hint}", err=True)
            sys.exit(2 if ctx.invoked_subcommand in ("doctor", "status", "audit", "upgrade") else 1)


@click.group(cls=_Edge, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="ACCORD_CONFIG",
    help="Settings file (TOML). Without one, defaults and ACCORD_… variables.",
)
@click.version_option(__version__, package_name="accord-recorder", prog_name="accord")
@click.pass_context
def accord(ctx: click.Context, config_path: Path | None) -> None:
    """Announces that a call is recorded and why, records it, seals it, and plays it for that alone."""
    logs.configure(sys.stderr)
    # `accord init` writes the settings file, and asks for what is in it.
    settings = config.Settings() if ctx.invoked_subcommand == "init" else config.load(config_path, os.environ)
    ctx.obj = Context(settings, config_path)
