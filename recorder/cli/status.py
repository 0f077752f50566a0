"""``accord status``: one look at this node."""

from __future__ import annotations

import click

from recorder.cli.findings import report
from recorder.clock import utc_now
from recorder.ops.doctor.findings import Patient
from recorder.ops.status import NodeStatus
from recorder.processes.services import Context


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
@click.pass_obj
def status(context: Context, as_json: bool) -> None:
    """Show this node's processes, live calls, spool and disk; exits with 0, 1 or 2 as the doctor does."""
    node = NodeStatus(Patient(context, utc_now))
    report(node.look(), as_json, lambda: {"node": context.settings.node.name, **node.figures()})
