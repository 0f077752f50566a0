"""``accord doctor``: looks at everything that a recording needs and says what to do about the rest."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

import click

from recorder.cli.context import Context
from recorder.cli.doctor import keeping, machine, node, older_keys, outbound, routes, switch
from recorder.cli.doctor.findings import Check, Finding, Patient, examine
from recorder.clock import to_iso, utc_now

CHECKS: tuple[Check, ...] = (
    keeping.catalogue,
    keeping.keys,
    keeping.key_copies,
    keeping.customer_keys,
    older_keys.older_keys,
    keeping.lines,
    keeping.store,
    keeping.embedded_store,
    keeping.logs,
    node.spool,
    node.disk,
    node.takes,
    node.snapshot,
    switch.switch,
    switch.event_socket,
    switch.key,
    switch.dialplan,
    switch.guards,
    outbound.outbound,
    routes.routes,
    outbound.calling_out,
    switch.recording,
    machine.daemon,
    machine.worker,
    machine.panel,
    machine.clock,
    machine.versions,
)

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


def look(patient: Patient) -> Iterator[tuple[str, Finding]]:
    """Every finding with its check's name, as it is found."""
    for check in CHECKS:
        for finding in examine(check, patient):
            yield check.__name__, finding
