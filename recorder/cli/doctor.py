"""``accord doctor``: checks everything that a recording needs, and says how to mend what fails."""

from __future__ import annotations

import click

from recorder.cli.findings import report
from recorder.clock import utc_now
from recorder.ops.doctor.checks import CHECKS, PANEL_CHECKS, look
from recorder.ops.doctor.findings import Patient
from recorder.processes.services import Context


@click.command()
@click.option("--panel", is_flag=True, help="This machine runs the panel alone: no switch, no recordings.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
@click.pass_obj
def doctor(context: Context, panel: bool, as_json: bool) -> None:
    """Say what is wrong and what to do; exits with 0 if nothing is, with 1 if anything is, with 2 for wrong
    usage or settings."""
    report(look(Patient(context, utc_now), PANEL_CHECKS if panel else CHECKS), as_json)
