"""``accord upgrade check``: what must be true before another version."""

from __future__ import annotations

from pathlib import Path

import click

from recorder.cli.findings import report
from recorder.cli.output import json_option
from recorder.clock import utc_now
from recorder.ops.doctor.findings import Patient
from recorder.ops.upgrade import UpgradeCheck, read_package
from recorder.processes.services import Context


@click.group()
def upgrade() -> None:
    """Upgrades to another version of Accord."""


@upgrade.command()
@click.argument("package", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
@click.pass_obj
def check(context: Context, package: Path | None) -> None:
    """List the obstacles to another version.

    PACKAGE is its .deb file; without one, the obstacles to `accord migrate` of the installed version are
    listed. Exits with 1 if there is one."""
    found = UpgradeCheck(Patient(context, utc_now), None if package is None else read_package(package))
    report(found.look())
