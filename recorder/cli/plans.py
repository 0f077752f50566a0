"""``accord plan``: the plans that tenants can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from recorder.cli.output import json_option, print_list
from recorder.lifecycle import plans

if TYPE_CHECKING:
    from recorder.processes.services import Context


@click.group()
def plan() -> None:
    """Plans: features, formats and longest retention."""


@plan.command("list")
@json_option
@click.pass_obj
def list_plans(context: Context) -> None:
    """List the plans.

    A plan without a longest retention does not limit it."""
    rows = [
        {
            "code": each.code,
            "features": sorted(each.features),
            "longest_keep_days": each.longest_keep_days,
            "formats": each.formats,
        }
        for each in plans.load_plans(context.settings.web.plans or plans.FILE).values()
    ]
    print_list("plans", rows, ("code", "features", "longest_keep_days", "formats"))
