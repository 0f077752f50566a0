"""The command line, a module for each noun.  Errors for the operator are printed here, in one place."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

import click

from recorder import __version__
from recorder.cli.lazy_group import LazyCommand, LazyGroup

_COMMANDS: Final = {
    "run": LazyCommand(
        "processes", "run", "Start all processes of one machine, restart what ends, kill what hangs."
    ),
    "daemon": LazyCommand(
        "processes",
        "daemon",
        "The process beside the switch: announces, starts recordings, writes the spool.",
    ),
    "worker": LazyCommand(
        "processes",
        "worker",
        "Encodes, seals, stores and lists what the daemon recorded; destroys what has ended.",
    ),
    "web": LazyCommand("processes", "web", "The panel."),
    "migrate": LazyCommand(
        "processes",
        "migrate",
        "Bring the catalogue's schema up to this version, making it where there is none, and with it the "
        "store's folder.",
    ),
    "init": LazyCommand(
        "init",
        "init",
        "Set this machine up: write settings and secrets, make the keys and the catalogue.",
    ),
    "upgrade": LazyCommand("upgrade", "upgrade", "Another version of Accord on this machine."),
    "doctor": LazyCommand(
        "doctor",
        "doctor",
        "Say what is wrong and what to do; exits with 0 if nothing is, with 1 if anything is, with 2 for "
        "wrong usage or settings.",
    ),
    "status": LazyCommand(
        "status",
        "status",
        "Show this node's processes, live calls, spool and disk; exits with 0, 1 or 2 as the doctor does.",
    ),
    "audit": LazyCommand(
        "audit",
        "audit",
        "Verify the catalogue, the audit log and the recordings against each other, and export proofs.",
    ),
    "rebuild": LazyCommand("rebuild", "rebuild", "Make the catalogue's recordings again from the bucket."),
    "backup": LazyCommand(
        "backup",
        "backup",
        "Write customers, people, lines, announcements, the log and all else that the bucket does not hold "
        "into a new FILE, encrypted under the key-encryption key; no keys are in it.",
    ),
    "restore": LazyCommand(
        "backup",
        "restore",
        "Bring the rows of a backup's FILE into an empty catalogue (`accord migrate` makes one), SQLite or "
        "PostgreSQL, whichever it was made from.",
    ),
    "key": LazyCommand("keys", "key", "Make and look at the keys."),
    "store": LazyCommand("store", "store", "The place where recordings are kept."),
    "take": LazyCommand("take", "take", "Recorded calls on this machine that are not stored yet."),
    "hold": LazyCommand("holds", "hold", "Recordings that must not go, for a dispute for instance."),
    "retention": LazyCommand(
        "retention", "retention", "How long a customer keeps recordings, at most as long as announced."
    ),
    "recording": LazyCommand(
        "recordings",
        "recording",
        "What is learnt about a recording after its call; each is signed, and stays.",
    ),
    "tenant": LazyCommand("tenants", "tenant", "Customers."),
    "offboarding": LazyCommand(
        "offboarding", "offboarding", "A customer leaves: start, export, erase; then there is a receipt."
    ),
    "plan": LazyCommand(
        "plans", "plan", "Plans: the features, formats and longest retention that a customer has."
    ),
    "usage": LazyCommand("usage", "usage", "Show what was recorded: calls, minutes and bytes, by customer."),
    "user": LazyCommand("users", "user", "People who log in to the panel."),
    "token": LazyCommand("tokens", "token", "What a customer's own programs ask with."),
    "line": LazyCommand("lines", "line", "Numbers that are recorded."),
    "announcement": LazyCommand(
        "announcements", "announcement", "What a line says before it records, and what it asks."
    ),
    "prompt": LazyCommand("prompts", "prompt", "Sentences that people hear, and their sound."),
    "country": LazyCommand(
        "country",
        "country",
        "What a country asks of a recording: facts with their sources, not legal advice.",
    ),
    "subject-request": LazyCommand(
        "subject_requests",
        "subject_request",
        "People who ask for their recordings: what they asked, and by when it is answered.",
    ),
}


class _Edge(LazyGroup):
    """Prints an error and its hint without a traceback, and exits with 1; with 2, "wrong", from the commands
    that report a state."""

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
            sys.exit(2 if ctx.invoked_subcommand in ("doctor", "status", "audit", "upgrade") else 1)


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

    logs.configure(sys.stderr)
    # `accord init` writes the settings file, and asks for what is in it.
    settings = config.Settings() if ctx.invoked_subcommand == "init" else config.load(config_path, os.environ)
    ctx.obj = Context(settings, config_path)
