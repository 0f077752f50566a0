"""``accord plan``: the plans that customers can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from recorder.lifecycle import plans

if TYPE_CHECKING:
    from recorder.processes.services import Context


@click.group()
def plan() -> None:
    """Plans: the features, formats and longest retention that a customer has."""


@plan.command("list")
@click.pass_obj
def list_plans(context: Context) -> None:
    """The plans that there are: code, features, longest retention in days, formats."""
    for each in plans.load_plans(context.settings.web.plans or plans.FILE).values():
        longest = "-" if each.longest_keep_days is None else each.longest_keep_days
        features = ",".join(sorted(each.features)) or "-"
        click.echo(f"{each.code}  {features}  {longest}  {','.join(each.formats)}")
