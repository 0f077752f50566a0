"""``accord run | daemon | worker | web | migrate``: the processes of an installation.

Each command imports its own process alone: a daemon that starts again while calls wait needs few modules.
"""

from __future__ import annotations

import click

from recorder.cli import logs
from recorder.cli.output import json_option, print_result
from recorder.processes.services import Context


@click.command()
@click.option("--replace", is_flag=True, help="Take over from the running daemon; no call goes unrecorded.")
@click.pass_obj
def daemon(context: Context, replace: bool) -> None:
    """Run the daemon, which announces and records calls."""
    from recorder.processes.daemon import run

    logs.begin(context.settings.log.path)
    run(context.settings, replace=replace)


@click.command()
@click.pass_obj
def worker(context: Context) -> None:
    """Run the worker, which stores and erases recordings."""
    from recorder.processes.worker import run

    logs.begin(context.settings.log.path)
    run(context)


@click.command()
@click.pass_obj
def web(context: Context) -> None:
    """Run the panel."""
    from recorder.processes.web import run

    logs.begin(context.settings.log.path)
    run(context)


@click.command()
@click.option("--check", is_flag=True, help="Only check that this version can use the catalogue's schema.")
@json_option
@click.pass_obj
def migrate(context: Context, check: bool) -> None:
    """Create the catalogue, or update its schema.

    With the catalogue the store's folder is created."""
    if check:
        from recorder.catalogue.schema import check_schema

        check_schema(context.settings.catalogue_url)
        print_result({"usable": True}, "this version can use the catalogue's schema")
        return
    applied = context.migrate()
    print_result({"applied": applied}, *(applied or ["the schema is current"]))


@click.command()
@click.pass_obj
def run(context: Context) -> None:
    """Run all processes of one machine, and restart them."""
    from recorder.processes.run import run as run_all

    logs.begin(context.settings.log.path)
    run_all(context)
