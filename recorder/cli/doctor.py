"""``accord doctor``: looks at everything that a recording needs and says what to do about the rest."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from recorder.clock import to_iso, utc_now
from recorder.ops.doctor import look
from recorder.ops.doctor.findings import Patient
from recorder.processes.services import Context

STATUS = {"ok": 0, "warning": 1, "wrong": 2}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
@click.pass_obj
def doctor(context: Context, as_json: bool) -> None:
    """Say what is wrong and what to do; exits with 0, for warnings with 1, for what is wrong with 2."""
    patient = Patient(context, utc_now)
    found = []
    for check, finding in look(patient):
        found.append((check, finding))
        if not as_json:
            click.echo(f"{finding.state:<8}{finding.what}")
            if finding.hint:
                click.echo(f"        {finding.hint}")
    worst = max((finding.state for _, finding in found), key=STATUS.__getitem__)
    if as_json:
        body = {
            "at": to_iso(patient.now()),
            "state": worst,
            "findings": [{"check": check, **asdict(finding)} for check, finding in found],
        }
        click.echo(json.dumps(body, ensure_ascii=False, indent=1))
    sys.stdout.flush()
    sys.exit(STATUS[worst])
