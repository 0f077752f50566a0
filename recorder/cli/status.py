"""``accord status``: one look at this node, or at all."""

from __future__ import annotations

import click

from recorder.cli.findings import report
from recorder.clock import utc_now
from recorder.ops.doctor.findings import Patient
from recorder.processes.services import Context


@click.command()
@click.option("--fleet", is_flag=True, help="All nodes, by what their workers last reported.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
@click.pass_obj
def status(context: Context, fleet: bool, as_json: bool) -> None:
    """Show this node's processes, live calls, spool and disk; exits with 0, 1 or 2 as the doctor does."""
    patient = Patient(context, utc_now)
    if fleet:
        from recorder.ops.fleet import FleetStatus

        context.open_catalogue()
        nodes = FleetStatus(patient)
        report(nodes.look(), as_json, nodes.figures)
    from recorder.ops.status import NodeStatus

    node = NodeStatus(patient)
    report(node.look(), as_json, lambda: {"node": context.settings.node.name, **node.figures()})
