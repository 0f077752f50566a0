"""``accord line``: recorded numbers. To list them takes few modules; other commands are imported by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from recorder.catalogue import queries
from recorder.cli.lazy_group import LazyCommand, LazyGroup
from recorder.cli.tenant_name import TENANT, find_tenant

if TYPE_CHECKING:
    from recorder.processes.services import Context


@click.group(
    cls=LazyGroup,
    lazy={
        "add": LazyCommand("line_settings", "add_line"),
        "end": LazyCommand("line_settings", "end_line"),
        "move": LazyCommand("line_settings", "move_line"),
        "announce": LazyCommand("line_settings", "announce_line"),
        "mode": LazyCommand("line_settings", "change_mode"),
        "timing": LazyCommand("line_settings", "change_timing"),
        "format": LazyCommand("line_settings", "change_formats"),
        "outbound": LazyCommand("line_settings", "change_outbound"),
        "languages": LazyCommand("line_settings", "change_languages"),
        "keep": LazyCommand("line_settings", "keep_line"),
        "joining": LazyCommand("line_settings", "tell_joiners"),
        "delete-in-call": LazyCommand("line_settings", "delete_in_call"),
        "beep": LazyCommand("line_settings", "beep_line"),
    },
)
def line() -> None:
    """Numbers that are recorded."""


@line.command("list")
@TENANT
@click.pass_obj
def list_lines(context: Context, tenant_name: str) -> None:
    """A customer's numbers: id, number, label, announcements, formats, outbound, timing, mode, languages."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    language_of = {row.id: row.language for row in queries.announcements(owner.id)}
    for row in queries.lines(owner.id):
        announcements, languages = (
            ",".join(row.announcements),
            ",".join(language_of[each] for each in row.announcements),
        )
        when = f"{dashed(row.outbound)}  {dashed(row.timing)}"
        how = f"{','.join(row.formats)}  {when}  {row.mode}  {languages}"
        click.echo(f"{row.id}  {row.number}  {row.label or '-'}  {announcements}  {how}")


def dashed(name: str) -> str:
    """A setting as commands spell it: ``before-ringing``."""
    return name.replace("_", "-")
