"""The command line, a module for each noun.  Errors for the operator are printed here, in one place."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

import click

from recorder import __version__
from recorder.cli.lazy_group import LazyCommand, LazyGroup
from recorder.errors import AccordError, ConfigError

_COMMANDS: Final = {
    "run": LazyCommand(
        "processes", "run", "Run all processes of one machine; one that ends or hangs is restarted."
    ),
    "daemon": LazyCommand(
        "processes",
        "daemon",
        "Run the process beside the switch: it announces, starts recordings, and writes the spool.",
    ),
    "worker": LazyCommand(
        "processes",
        "worker",
        "Run the worker: it encodes, seals, stores and lists recordings, and erases expired ones.",
    ),
    "web": LazyCommand("processes", "web", "Run the panel."),
    "migrate": LazyCommand(
        "processes",
        "migrate",
        "Update the catalogue's schema to this version, or create it, with the store's folder.",
    ),
    "init": LazyCommand(
        "init",
        "init",
        "Set up this machine: write settings and secrets, create the keys and the catalogue.",
    ),
    "upgrade": LazyCommand("upgrade", "upgrade", "Upgrades to another version of Accord."),
    "doctor": LazyCommand(
        "doctor",
        "doctor",
        "Check the installation, and say what to do about each fault.",
    ),
    "status": LazyCommand(
        "status",
        "status",
        "Show this node's processes, live calls, spool and disk.",
    ),
    "audit": LazyCommand(
        "audit",
        "audit",
        "Verify the catalogue, the audit log and the recordings against each other, and export proofs.",
    ),
    "rebuild": LazyCommand("rebuild", "rebuild", "Rebuild the catalogue's recordings from the bucket."),
    "backup": LazyCommand(
        "backup",
        "backup",
        "Write everything that the bucket does not hold into a new FILE: customers, people, lines, "
        "announcements, the log.",
    ),
    "restore": LazyCommand(
        "backup",
        "restore",
        "Restore a backup's FILE into an empty catalogue (`accord migrate` creates one), SQLite or "
        "PostgreSQL.",
    ),
    "key": LazyCommand("keys", "key", "Keys: the root, the signing keys and the key-encryption key."),
    "store": LazyCommand("store", "store", "The object store of the recordings."),
    "take": LazyCommand("take", "take", "Takes: calls recorded on this machine that are not stored yet."),
    "hold": LazyCommand("holds", "hold", "Legal holds: recordings that expiry and deletion skip."),
    "retention": LazyCommand(
        "retention", "retention", "Retention limits: recordings kept for a shorter time than announced."
    ),
    "recording": LazyCommand(
        "recordings",
        "recording",
        "Recordings: list and verify them, and amend them after the call.",
    ),
    "tenant": LazyCommand("tenants", "tenant", "Customers."),
    "offboarding": LazyCommand(
        "offboarding",
        "offboarding",
        "The departure of a customer: start, export, erase, and a signed receipt.",
    ),
    "plan": LazyCommand(
        "plans", "plan", "Plans: the features, formats and longest retention that a customer has."
    ),
    "completion": LazyCommand("completion", "completion", "Print the completion script of a shell."),
    "usage": LazyCommand("usage", "usage", "Show the usage by customer: recorded calls, minutes and bytes."),
    "user": LazyCommand("users", "user", "People who log in to the panel."),
    "token": LazyCommand("tokens", "token", "API tokens: the access of a customer's own programs."),
    "line": LazyCommand("lines", "line", "Lines: the numbers that are recorded, and their settings."),
    "announcement": LazyCommand(
        "announcements",
        "announcement",
        "Announcements: what a line says before it records, and its question for consent.",
    ),
    "prompt": LazyCommand("prompts", "prompt", "Prompts: the sentences that callers hear, and their sound."),
    "country": LazyCommand(
        "country",
        "country",
        "Countries: their rules for recordings, as facts with their sources, not legal advice.",
    ),
    "subject-request": LazyCommand(
        "subject_requests",
        "subject_request",
        "Subject requests: people who ask for their recordings, with the due day of each.",
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
        except AccordError as error:
            click.echo(f"accord: {error.message}", err=True)
            if error.hint:
                click.echo(f"        {error.hint}", err=True)
            sys.exit(2 if isinstance(error, ConfigError) else 1)


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

    logs.configure(sys.stderr)
    settings = (
        config.Settings()
        if ctx.invoked_subcommand in _WITHOUT_SETTINGS
        else config.load(config_path, os.environ)
    )
    ctx.obj = Context(settings, config_path)
