"""``accord line``: recorded numbers. To list them takes few modules; other commands are imported by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from recorder.catalogue import queries
from recorder.cli.lazy_group import LazyCommand, LazyGroup
from recorder.cli.tenant_name import TENANT, find_tenant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recorder.catalogue.records import AnnouncementRow, LineRow
    from recorder.processes.services import Context


@click.group(
    cls=LazyGroup,
    lazy={
        "add": LazyCommand("line_settings", "add_line"),
        "end": LazyCommand("line_settings", "end_line"),
        "move": LazyCommand("line_settings", "move_line"),
        "set": LazyCommand("line_settings", "set_line"),
        "set-keep-question": LazyCommand("line_settings", "set_keep_question"),
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
    announcements = queries.announcements(owner.id)
    for row in queries.lines(owner.id):
        click.echo(format_line(row, announcements))


def format_line(row: LineRow, announcements: Iterable[AnnouncementRow]) -> str:
    """A line and its settings on one line of text."""
    language_of = {each.id: each.language for each in announcements}
    ids, languages = ",".join(row.announcements), ",".join(language_of[each] for each in row.announcements)
    when = f"{dashed(row.outbound)}  {dashed(row.timing)}"
    how = f"{','.join(row.formats)}  {when}  {row.mode}  {languages}"
    return f"{row.id}  {row.number}  {row.label or '-'}  {ids}  {how}"


def dashed(name: str) -> str:
    """A setting as commands spell it: ``before-ringing``."""
    return name.replace("_", "-")
