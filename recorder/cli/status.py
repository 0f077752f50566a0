"""``accord status``: one look at this node, or at all."""

from __future__ import annotations

import click

from recorder.cli.findings import report
from recorder.cli.output import json_option
from recorder.clock import utc_now
from recorder.ops.doctor.findings import Patient
from recorder.processes.services import Context


@click.command()
@click.option("--fleet", is_flag=True, help="All nodes, by what their workers last reported.")
@json_option
@click.pass_obj
def status(context: Context, fleet: bool) -> None:
    """Show this node's processes, live calls, spool and disk. Exits with 1 if something is wrong."""
    patient = Patient(context, utc_now)
    if fleet:
        from recorder.ops.fleet import FleetStatus

        context.open_catalogue()
        nodes = FleetStatus(patient)
        report(nodes.look(), nodes.figures)
    from recorder.ops.status import NodeStatus

    node = NodeStatus(patient)
    report(node.look(), lambda: {"node": context.settings.node.name, **node.figures()})
