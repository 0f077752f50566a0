"""``accord run | daemon | worker | web | migrate``: the processes of an installation.

Each command imports its own process alone: a daemon that starts again while calls wait needs few modules.
"""

from __future__ import annotations

import click

from recorder.cli import logs
from recorder.processes.services import Context


@click.command()
@click.option(
    "--replace", is_flag=True, help="Take over from the daemon that runs: no call goes unrecorded for it."
)
@click.pass_obj
def daemon(context: Context, replace: bool) -> None:
    """The process beside the switch: announces, starts recordings, writes the spool."""
    from recorder.processes.daemon import run

    logs.begin(context.settings.log.path)
    run(context.settings, replace=replace)


@click.command()
@click.pass_obj
def worker(context: Context) -> None:
    """Encodes, seals, stores and lists what the daemon recorded; destroys what has ended."""
    from recorder.processes.worker import run

    logs.begin(context.settings.log.path)
    run(context)


@click.command()
@click.pass_obj
def web(context: Context) -> None:
    """The panel."""
    from recorder.processes.web import run

    logs.begin(context.settings.log.path)
    run(context)


@click.command()
@click.option("--check", is_flag=True, help="Only say whether this version can use the catalogue's schema.")
@click.pass_obj
def migrate(context: Context, check: bool) -> None:
    """Bring the catalogue's schema up to this version, making it where there is none, and with it the
    store's folder."""
    if check:
        from recorder.catalogue.schema import check_schema

        check_schema(context.settings.catalogue_url)
        click.echo("this version can use the catalogue's schema")
        return
    applied = context.migrate()
    click.echo("\n".join(applied) if applied else "the schema is current")


@click.command()
@click.pass_obj
def run(context: Context) -> None:
    """Start all processes of one machine, restart what ends, kill what hangs."""
    from recorder.processes.run import run as run_all

    logs.begin(context.settings.log.path)
    run_all(context)
