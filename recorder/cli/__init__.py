"""The command line: a file a noun.  Errors for the operator are caught here, once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from recorder import __version__, config
from recorder.cli import (
    adopt,
    announcements,
    audit,
    backup,
    bringing,
    country,
    customers,
    doctor,
    holds,
    keeping,
    keys,
    leaving,
    lines,
    logs,
    persons,
    processes,
    prompts,
    rebuild,
    store,
    take,
    tokens,
    top,
    verify,
)
from recorder.cli.context import Context
from recorder.errors import AccordError


class _Edge(click.Group):
    """Says what is wrong and what to do, without a traceback, and exits with 1; with 2, "wrong", where the
    doctor or an audit was asked."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AccordError as error:
            click.echo(f"accord: {error.message}", err=True)
            if error.hint:
                click.echo(f"        {error.hint}", err=True)
            sys.exit(2 if ctx.invoked_subcommand in ("doctor", "audit") else 1)


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
    ctx.obj = Context(config.load(config_path, os.environ), config_path)


for command in (
    processes.run,
    processes.daemon,
    processes.worker,
    processes.web,
    processes.migrate,
    doctor.doctor,
    top.top,
    verify.verify,
    audit.audit,
    rebuild.rebuild,
    backup.backup,
    backup.restore,
    keys.keys,
    store.store,
    take.take,
    holds.hold,
    keeping.keeping,
    keeping.recording,
    customers.tenant,
    customers.user,
    tokens.token,
    lines.line,
    announcements.announcement,
    prompts.prompts,
    country.country,
    persons.person,
):
    accord.add_command(command)
customers.tenant.add_command(adopt.adopt)
customers.tenant.add_command(leaving.leave)
keeping.recording.add_command(bringing.bring_in)
