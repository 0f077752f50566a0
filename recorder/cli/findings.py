"""Prints the findings of ``accord doctor`` and ``accord status``, and ends with an exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import NoReturn

import click

from recorder.cli.output import is_json, print_json
from recorder.cli.terminal import printable
from recorder.clock import utc_now
from recorder.ops.doctor.findings import SEVERITY, WARNING, WRONG, DoctorFinding, State


def report(
    found: Iterable[tuple[str, DoctorFinding]],
    figures: Callable[[], Mapping[str, object]] = dict,
) -> NoReturn:
    """Print each finding as it is made, or all of them as one JSON document that ``figures`` are added to;
    exit with 1 if anything is a warning or wrong, otherwise with 0 (2 is for wrong usage)."""
    worst: State = "ok"
    findings = []
    for check, finding in found:
        findings.append({"check": check, **asdict(finding)})
        worst = max(worst, finding.state, key=SEVERITY.index)
        if not is_json():
            click.echo(f"{finding.state:<8}{printable(finding.what)}")
            if finding.hint:
                click.echo(f"        {printable(finding.hint)}")
    if is_json():
        print_json({"at": utc_now(), "state": worst, **figures(), "findings": findings})
    sys.stdout.flush()
    sys.exit(1 if worst in (WARNING, WRONG) else 0)
