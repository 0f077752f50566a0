"""``accord doctor``: checks everything that a recording needs, and says how to mend what fails."""

from __future__ import annotations

import click

from recorder.cli.findings import report
from recorder.cli.output import json_option
from recorder.clock import utc_now
from recorder.ops.doctor.checks import CHECKS, PANEL_CHECKS, look
from recorder.ops.doctor.console import pass_on
from recorder.ops.doctor.findings import Patient
from recorder.processes.services import Context


@click.command()
@click.option("--panel", is_flag=True, help="This machine runs the panel alone: no switch, no recordings.")
@click.option("--report", "reports", is_flag=True, help="Show the findings in the provider's console, too.")
@json_option
@click.pass_obj
def doctor(context: Context, panel: bool, reports: bool) -> None:
    """Check the installation, and advise about each fault.

    Exits with 1 if there is one."""
    if panel and reports:
        raise click.UsageError("--report is about a node, and --panel about a machine that is none")
    patient = Patient(context, utc_now)
    found = look(patient, PANEL_CHECKS if panel else CHECKS)
    report(pass_on(patient, found) if reports else found)
