"""``accord line``: recorded numbers. To list them takes few modules; other commands are imported by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from recorder.catalogue import queries
from recorder.cli.lazy_group import LazyCommand, LazyGroup
from recorder.cli.output import Record, fields_of, json_option, print_list, print_record
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.lifecycle.suspension import find_suspensions

if TYPE_CHECKING:
    from recorder.catalogue.records import KeepOptions, LineRow
    from recorder.lifecycle.suspension import Suspensions
    from recorder.processes.services import Context

COLUMNS = (
    "id", "number", "label", "mode", "suspended", "languages", "timing", "outbound", "formats",
    "announcements",
)  # fmt: skip

BEEPS = {"external": "external", "colleague": "internal", "both": "both", "nobody": ""}
"""Who hears the tone, in the words of operators."""


@click.group(
    cls=LazyGroup,
    lazy={
        "add": LazyCommand("line_settings", "add_line"),
        "end": LazyCommand("line_settings", "end_line"),
        "move": LazyCommand("line_settings", "move_line"),
        "proposal": LazyCommand("line_proposals", "proposal"),
        "resume": LazyCommand("suspension", "resume_line"),
        "set": LazyCommand("line_settings", "set_line"),
        "suspend": LazyCommand("suspension", "suspend_line"),
        "set-keep-question": LazyCommand("line_settings", "set_keep_question"),
    },
)
def line() -> None:
    """Lines: the numbers that are recorded, and their settings."""


@line.command("list")
@TENANT
@json_option
@click.pass_obj
def list_lines(context: Context, tenant_name: str) -> None:
    """List a tenant's numbers with their settings."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    languages, stopped = announcement_languages(owner.id), find_suspensions(owner.id)
    rows = queries.lines(owner.id)
    print_list("lines", (line_record(row, languages, stopped) for row in rows), COLUMNS)


@line.command("show")
@click.argument("number")
@TENANT
@json_option
@click.pass_obj
def show_line(context: Context, number: str, tenant_name: str) -> None:
    """Show a number's settings."""
    from recorder.cli.line_number import find_line

    context.open_catalogue()
    print_line(find_line(find_tenant(tenant_name), number))


def print_line(row: LineRow) -> None:
    """Print a line's settings."""
    print_record(line_record(row, announcement_languages(row.tenant), find_suspensions(row.tenant)))


def announcement_languages(tenant: str) -> Mapping[str, str]:
    """The language of each announcement of a tenant, by its id."""
    return {row.id: row.language for row in queries.announcements(tenant)}


def line_record(row: LineRow, language_of: Mapping[str, str], stopped: Suspensions) -> Record:
    """A line with its settings, in the words of the options of `accord line set`."""
    notice = row.transfer_notice
    return {
        **fields_of(row, "id", "tenant", "number", "label", "mode"),
        "suspended": stopped.of(row.id) is not None,
        "languages": [language_of[each] for each in row.announcements],
        "announcements": row.announcements,
        "timing": dashed(row.timing),
        "outbound": dashed(row.outbound),
        "formats": row.formats,
        "beep": next(word for word, party in BEEPS.items() if party == row.beep),
        "join_notice": "off" if notice is None else notice.how,
        "join_question": notice is not None and bool(notice.questions),
        "delete_in_call": row.deletable,
        "keep_question": keep_record(row.keep),
        "since": row.since,
    }


def keep_record(keep: KeepOptions | None) -> Record | None:
    """A keep question, in the words of the options of `accord line set-keep-question`."""
    if keep is None:
        return None
    names = ("purpose", "own_words", "destroy", "at_start", "wording")
    return {"days": keep.keep_days, **fields_of(keep, *names)}


def dashed(name: str) -> str:
    """A setting as commands spell it: ``before-ringing``."""
    return name.replace("_", "-")
