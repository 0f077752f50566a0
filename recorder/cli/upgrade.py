"""``accord upgrade check``: what must be true before another version."""

from __future__ import annotations

from pathlib import Path

import click

from recorder.cli.findings import report
from recorder.clock import utc_now
from recorder.ops.doctor.findings import Patient
from recorder.ops.upgrade import UpgradeCheck, read_package
from recorder.processes.services import Context


@click.group()
def upgrade() -> None:
    """Another version of Accord on this machine."""


@upgrade.command()
@click.argument("package", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
@click.pass_obj
def check(context: Context, package: Path | None, as_json: bool) -> None:
    """Say what stands in the way of the version in PACKAGE (its .deb file); without one, of the `accord
    migrate` of the version that is installed. Exits with 0, 1 or 2 as the doctor does."""
    found = UpgradeCheck(Patient(context, utc_now), None if package is None else read_package(package))
    report(found.look(), as_json)
