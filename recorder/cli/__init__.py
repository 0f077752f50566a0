"""The command line, a module for each noun.  Errors for the operator are printed here, in one place."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any, Final

import click

from recorder import __version__
from recorder.cli.lazy_group import LazyCommand, LazyGroup
from recorder.errors import ConfigError

_COMMANDS: Final = {
    "run": LazyCommand("processes", "run", "Run all processes of one machine, and restart them."),
    "daemon": LazyCommand("processes", "daemon", "Run the daemon, which announces and records calls."),
    "worker": LazyCommand("processes", "worker", "Run the worker, which stores and erases recordings."),
    "web": LazyCommand("processes", "web", "Run the panel."),
    "migrate": LazyCommand("processes", "migrate", "Create the catalogue, or update its schema."),
    "init": LazyCommand("init", "init", "Set up this machine: settings, secrets, keys, catalogue."),
    "upgrade": LazyCommand("upgrade", "upgrade", "Upgrades to another version of Accord."),
    "doctor": LazyCommand("doctor", "doctor", "Check the installation, and advise about each fault."),
    "status": LazyCommand("status", "status", "Show this node's processes, live calls, spool and disk."),
    "audit": LazyCommand("audit", "audit", "Verify catalogue, log and recordings; export proofs."),
    "rebuild": LazyCommand("rebuild", "rebuild", "Rebuild the catalogue's recordings from the bucket."),
    "backup": LazyCommand("backup", "backup", "Back up everything that the bucket does not hold."),
    "restore": LazyCommand("backup", "restore", "Restore a backup's FILE into an empty catalogue."),
    "key": LazyCommand("keys", "key", "Keys: root, signing keys and key-encryption key."),
    "store": LazyCommand("store", "store", "The object store of the recordings."),
    "take": LazyCommand("take", "take", "Takes: recorded calls that are not stored yet."),
    "hold": LazyCommand("holds", "hold", "Legal holds: recordings that expiry and deletion skip."),
    "retention": LazyCommand("retention", "retention", "Retention limits: retention shorter than announced."),
    "recording": LazyCommand(
        "recordings", "recording", "Recordings: list and verify them, amend them, erase them."
    ),
    "tenant": LazyCommand("tenants", "tenant", "Tenants: create, list, show and change them."),
    "offboarding": LazyCommand(
        "offboarding", "offboarding", "Departures of tenants: export, erasure, receipt."
    ),
    "plan": LazyCommand("plans", "plan", "Plans: features, formats and longest retention."),
    "completion": LazyCommand("completion", "completion", "Print the completion script of a shell."),
    "usage": LazyCommand("usage", "usage", "Show recorded calls, minutes and bytes by tenant."),
    "user": LazyCommand("users", "user", "People who log in to the panel."),
    "token": LazyCommand("tokens", "token", "API tokens: the access of a tenant's own programs."),
    "line": LazyCommand("lines", "line", "Lines: the numbers that are recorded, and their settings."),
    "announcement": LazyCommand(
        "announcements", "announcement", "Announcements: the spoken notice, and the question."
    ),
    "prompt": LazyCommand("prompts", "prompt", "Prompts: the sentences that callers hear."),
    "country": LazyCommand("country", "country", "Countries: their rules for recordings, not legal advice."),
    "subject-request": LazyCommand(
        "subject_requests", "subject_request", "Subject requests: people who ask for their recordings."
    ),
}


_WITHOUT_SETTINGS: Final = frozenset({"init", "completion"})
"""Commands that read no settings file; ``accord init`` writes it."""


class _Edge(LazyGroup):
    """Prints an error and its hint without a traceback, and exits with 1; with 2 for settings that cannot be
    used, as click does for wrong usage."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            command = ctx.command_path if error.ctx is None else error.ctx.command_path
            _complain(error.format_message(), f"`{command} --help` explains it")
            sys.exit(2)
        except Exception as error:
            from recorder.cli import failures

            known = failures.explain(error)
            if known is None:
                raise
            _complain(known.message, known.hint)
            sys.exit(2 if isinstance(known, ConfigError) else 1)


def _complain(message: str, hint: str) -> None:
    click.echo(f"accord: {message}", err=True)
    click.echo(f"        {hint}", err=True)


@click.group(cls=_Edge, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
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
    from recorder import config
    from recorder.cli import logs
    from recorder.processes.services import Context

    logs.configure(sys.stderr, logging.WARNING)  # processes configure it again: logs.begin
    settings = (
        config.Settings()
        if ctx.invoked_subcommand in _WITHOUT_SETTINGS
        else config.load(config_path, os.environ)
    )
    ctx.obj = Context(settings, config_path)
