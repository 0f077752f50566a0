"""Prints what ``accord doctor`` and ``accord status`` find, and turns the worst of it into an exit status."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import NoReturn

import click

from recorder.cli.terminal import printable
from recorder.clock import to_iso, utc_now
from recorder.ops.doctor.findings import DoctorFinding, State

STATUS: dict[State, int] = {"ok": 0, "warning": 1, "wrong": 2}


def report(
    found: Iterable[tuple[str, DoctorFinding]],
    as_json: bool,
    figures: Callable[[], Mapping[str, object]] = dict,
) -> NoReturn:
    """Print each finding as it is made, or all of them as one JSON document that ``figures`` are added to;
    exit with the worst finding's status."""
    worst: State = "ok"
    findings = []
    for check, finding in found:
        findings.append({"check": check, **asdict(finding)})
        worst = max(worst, finding.state, key=STATUS.__getitem__)
        if not as_json:
            click.echo(f"{finding.state:<8}{printable(finding.what)}")
            if finding.hint:
                click.echo(f"        {printable(finding.hint)}")
    if as_json:
        body = {"at": to_iso(utc_now()), "state": worst, **figures(), "findings": findings}
        click.echo(json.dumps(body, ensure_ascii=False, indent=1))
    sys.stdout.flush()
    sys.exit(STATUS[worst])
