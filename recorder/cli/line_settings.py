"""``accord line``: what changes numbers, their announcements and their consent modes."""

from __future__ import annotations

import os
from typing import Any

import click

from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.records import FORMATS, KeepOptions
from recorder.cli.confirmation import confirm, confirmation_options
from recorder.cli.line_number import describe, find_line, read_new_number
from recorder.cli.line_outcomes import lines_with, print_outcomes
from recorder.cli.lines import BEEPS, announcement_languages, dashed, line_record, print_line
from recorder.cli.output import json_option, print_result
from recorder.cli.prompts import LANGUAGE, wording_option
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.cli.terminal import printable
from recorder.clock import to_iso, utc_now
from recorder.domain.call_plan import MODES, WAYS
from recorder.domain.line_policy import OUTBOUND_TIMINGS, TIMINGS
from recorder.errors import CatalogueError
from recorder.features.tenants import transfer_options
from recorder.features.tenants.default_lines import add_line as create_shipped_line
from recorder.features.tenants.default_lines import move_line as move_shipped_line
from recorder.features.tenants.line_change import LineChange
from recorder.features.tenants.line_proposals import PENDING, change_or_propose
from recorder.features.tenants.transfer_options import NoticeChoice
from recorder.lifecycle import line_history
from recorder.lifecycle.line_proposals import UNCHANGED, Unchanged
from recorder.lifecycle.suspension import find_suspensions
from recorder.processes.services import Context
from recorder.prompts.sentences import Wording
from recorder.prompts.sound_sources import open_sources

OFF = "off"


@click.command("add")
@TENANT
@click.argument("number")
@click.option(
    "--announcement",
    "announcement_id",
    help="The id of an announcement; default: the shipped one, in --language for --mode.",
)
@click.option(
    "--language", type=LANGUAGE, help="The language of the shipped announcement; default: the tenant's."
)
@click.option("--label", default="", help="A name for people.")
@click.option("--as-routed", is_flag=True, help="Keep the digits as they are: the dialplan routes these.")
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="A format of the recordings; repeatable. Default: the plan's usual one.",
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    help="Default: the announcement's; of the shipped one the laxest that the tenant's country allows.",
)
@click.option("--off", is_flag=True, help="Do not record it until the tenant sets it up in the panel.")
@json_option
@click.pass_obj
def add_line(
    context: Context,
    tenant_name: str,
    number: str,
    announcement_id: str | None,
    language: str | None,
    label: str,
    as_routed: bool,
    formats: tuple[str, ...],
    mode: str | None,
    off: bool,
) -> None:
    """Record a number. Prints the line's id.

    Any spelling will do, and the tenant's own country code may be left out. Where it is unsure what is meant,
    as with an extension, it asks. It must be the number that the dialplan routes: if that has no
    country code, add --as-routed. Emergency numbers are never recorded."""
    context.open_catalogue()
    owner, found = find_tenant(tenant_name), open_sources(context.settings.prompts)
    never = context.settings.node.never_record
    understood = read_new_number(number, owner.country, never, as_routed=as_routed)
    line_id = create_shipped_line(
        owner,
        understood.value,
        announcement=announcement_id,
        language=language,
        label=label,
        formats=formats,
        mode=mode,
        recorded=not off,
        sources=found,
        now=utc_now(),
        entropy=os.urandom,
    )
    row = find_line(owner, understood.value)
    effect = "not recorded before the tenant sets it up" if off else "recorded from the next call on"
    click.echo(f"{describe(understood)}: {effect}", err=True)
    print_result(line_record(row, announcement_languages(owner.id), find_suspensions(owner.id)), line_id)


@click.command("end")
@TENANT
@click.argument("number")
@json_option
@confirmation_options
@click.pass_obj
def end_line(context: Context, tenant_name: str, number: str) -> None:
    """Stop recording a number, which is then free.

    Its recordings stay the tenant's."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    row = find_line(owner, number)
    record = line_record(row, announcement_languages(owner.id), find_suspensions(owner.id))
    about = f"{row.number} of {owner.name}, recorded since {to_iso(row.since)}: new calls are not recorded."
    confirm("End this line?", record, about)
    now = utc_now()
    line_history.end_line(row.tenant, row.id, now=now, entropy=os.urandom)
    print_result({**record, "until": now}, f"{row.number} is no longer recorded.")


@click.command("move")
@TENANT
@click.argument("number")
@click.option("--to", "to_name", required=True, help="The new tenant's id or name.")
@click.option(
    "--announcement", "announcement_id", help="The new tenant's announcement; default: the shipped one."
)
@click.option(
    "--language", type=LANGUAGE, help="The language of the shipped announcement; default: the tenant's."
)
@click.option("--label", default="", help="A name for people.")
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="A format of the recordings; repeatable. Default: the plan's usual one.",
)
@click.option("--mode", type=click.Choice(MODES), help="As for `accord line add`.")
@click.option("--on", is_flag=True, help="Record it from the next call on, before the tenant has set it up.")
@json_option
@click.pass_obj
def move_line(
    context: Context,
    tenant_name: str,
    number: str,
    to_name: str,
    announcement_id: str | None,
    language: str | None,
    label: str,
    formats: tuple[str, ...],
    mode: str | None,
    on: bool,
) -> None:
    """Move a number to another tenant. Prints the line's id.

    It starts afresh, with an announcement of the new tenant, and is not recorded until that tenant sets it
    up in the panel, unless --on is given. Recordings, and calls in progress, stay with the previous tenant;
    the new one sees nothing of them."""
    context.open_catalogue()
    row, to = find_line(find_tenant(tenant_name), number), find_tenant(to_name)
    line_id = move_shipped_line(
        row, to,
        announcement=announcement_id, language=language, label=label, formats=formats, mode=mode, recorded=on,
        sources=open_sources(context.settings.prompts), now=utc_now(), entropy=os.urandom,
    )  # fmt: skip
    new = None if line_id is None else queries.line(to.id, line_id)
    if new is None:
        raise CatalogueError(
            "line.unknown", f"{number} has ended meanwhile", "`accord line list` shows the tenant's lines"
        )
    print_result(line_record(new, announcement_languages(to.id), find_suspensions(to.id)), new.id)


@click.command("set")
@click.option("--tenant", "tenant_name", metavar="TENANT", help="The tenant's id or name.")
@click.argument("numbers", nargs=-1, metavar="[NUMBER]...")
@click.option("--all", "of_tenant", is_flag=True, help="All numbers of the tenant.")
@click.option("--all-tenants", is_flag=True, help="All numbers of all tenants.")
@click.option(
    "--only-mode", type=click.Choice(MODES), help="Of all numbers, only those that are recorded in this mode."
)
@click.option("--only-purpose", help="Of all numbers, only those that are recorded for this purpose.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Write nothing: list for each number what would change at once, be proposed, or be refused.",
)
@click.option(
    "--announcement",
    "announcement_ids",
    multiple=True,
    help="The id of an announcement, which replaces all others; repeatable. Several, each in another "
    "language, come with a menu. Their mode becomes the line's.",
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    help="Announce only (notice), let a key refuse (opt-out), or wait for a yes (opt-in). Composed "
    "announcements are composed again for that mode.",
)
@click.option(
    "--language",
    "languages",
    type=LANGUAGE,
    multiple=True,
    help="A language of the announcement; repeatable. Several come with a menu; without a key the first one "
    "is played. An announcement that is missing in a language is composed.",
)
@click.option(
    "--purpose",
    "purposes",
    multiple=True,
    help="A purpose that is announced, which replaces all others; repeatable.",
)
@click.option("--keep-days", type=click.IntRange(min=1), help="The retention that is announced.")
@click.option(
    "--timing",
    type=click.Choice(tuple(map(dashed, TIMINGS))),
    help="Announce before it rings (the call is then billed from the announcement on), or to both parties at "
    "pick-up (notice only, in one language).",
)
@click.option(
    "--outbound",
    type=click.Choice(tuple(map(dashed, OUTBOUND_TIMINGS))),
    help="Record outbound calls, too: announce to the callee before the parties are connected, or to both "
    "once they are (notice only, in one language).",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="A format of the recordings, from those of the plan; repeatable.",
)
@click.option(
    "--beep",
    type=click.Choice(tuple(BEEPS)),
    help="Play a short tone every 15 seconds, to the external party, the colleague, both or nobody.",
)
@click.option(
    "--join-notice",
    type=click.Choice((*WAYS, OFF)),
    help="Tell colleagues who join a call that it is recorded: alone, with the caller (both), or not at all "
    "(off).",
)
@click.option(
    "--join-question",
    is_flag=True,
    help="With --join-notice: ask them, too. In opt-out 2 refuses, in opt-in only 1 agrees; without consent "
    "the call is recorded no further.",
)
@click.option(
    "--delete-in-call",
    type=click.Choice(("on", OFF)),
    help="Let colleagues stop a recording during the call and have it erased (*9, then 1). Both parties are "
    "told.",
)
@click.option("--label", help="A name for people; an empty one removes it.")
@json_option
@click.pass_obj
def set_line(
    context: Context,
    /,
    tenant_name: str | None,
    numbers: tuple[str, ...],
    of_tenant: bool,
    all_tenants: bool,
    only_mode: str | None,
    only_purpose: str | None,
    dry_run: bool,
    **options: Any,
) -> None:
    """Change the settings of numbers, from the next call on. Calls in progress keep theirs.

    Of one number, either all of the options take effect or, if one of them is refused, none. Several numbers
    are changed one by one: a list says what became of each, and the exit code is 1 if one was
    refused.

    Where callers would be promised more than the tenant agreed to (another purpose, a longer retention, a
    laxer mode), the change is proposed to the tenant's admins, who accept it in the panel."""
    change = _read_change(**options)
    if [bool(numbers), of_tenant, all_tenants].count(True) != 1 or (tenant_name is None) != all_tenants:
        raise click.UsageError("give either --tenant with numbers or --all, or else --all-tenants")
    if (only_mode or only_purpose) and numbers:
        raise click.UsageError("--only-mode and --only-purpose go with --all and --all-tenants")
    if change.label is not None and len(numbers) != 1:
        raise click.UsageError("--label names one number")
    context.open_catalogue()
    sources = open_sources(context.settings.prompts).cached()
    tenants = [find_tenant(tenant_name)] if tenant_name is not None else tenant_queries.customers()
    outcomes = []
    for owner in tenants:
        rows = (
            [find_line(owner, number) for number in numbers]
            if numbers
            else lines_with(owner, only_mode, only_purpose)
        )
        for row in rows:
            outcome = change_or_propose(
                row, change, dry_run=dry_run, sources=sources, now=utc_now(), entropy=os.urandom
            )
            outcomes.append((owner, outcome))
    if len(numbers) != 1 or dry_run:
        print_outcomes(outcomes, dry_run=dry_run)
        return
    ((owner, outcome),) = outcomes
    if outcome.error is not None:
        raise outcome.error
    if outcome.code == PENDING:
        _print_pending(owner.name)
    for language in transfer_options.silent_languages(owner.id, outcome.line.id):
        click.echo(f"joining colleagues are told nothing in {language}: no sentence exists", err=True)
    print_line(find_line(owner, numbers[0]))


def _print_pending(tenant_name: str) -> None:
    click.echo(f"proposed: it needs a yes of {printable(tenant_name)}'s admins in the panel", err=True)


def _read_change(
    *,
    announcement_ids: tuple[str, ...],
    mode: str | None,
    languages: tuple[str, ...],
    purposes: tuple[str, ...],
    keep_days: int | None,
    timing: str | None,
    outbound: str | None,
    formats: tuple[str, ...],
    beep: str | None,
    join_notice: str | None,
    join_question: bool,
    delete_in_call: str | None,
    label: str | None,
) -> LineChange:
    """Raises :class:`click.UsageError` for options that contradict each other."""
    if announcement_ids and (mode or languages or purposes or keep_days):
        raise click.UsageError(
            "--announcement sets mode, languages, purposes and retention, too: leave out the other options"
        )
    if join_question and join_notice in (None, OFF):
        raise click.UsageError("--join-question needs --join-notice alone or --join-notice both")
    notice: NoticeChoice | Unchanged | None = UNCHANGED
    if join_notice is not None:
        notice = None if join_notice == OFF else NoticeChoice(join_notice, join_question)
    change = LineChange(
        announcements=announcement_ids,
        mode=mode,
        languages=languages or None,
        purposes=purposes,
        keep_days=keep_days,
        timing=timing and timing.replace("-", "_"),
        outbound=outbound and outbound.replace("-", "_"),
        formats=formats,
        beep=None if beep is None else BEEPS[beep],
        deletable=None if delete_in_call is None else delete_in_call == "on",
        notice=notice,
        label=label,
    )
    if change == LineChange():
        raise click.UsageError("nothing to change: give at least one option")
    return change


@click.command("set-keep-question")
@TENANT
@click.argument("number")
@click.option("--days", type=click.IntRange(min=1), help="The retention after a yes.")
@click.option("--purpose", default="agreement", show_default=True, help="The purpose after a yes.")
@click.option("--own-words", is_flag=True, help="The colleague asks; default: a question is played to both.")
@click.option("--destroy", is_flag=True, help="Without a yes, erase the recording at the end of the call.")
@click.option("--at-start", is_flag=True, help="Ask automatically when the conversation begins.")
@wording_option
@click.option("--off", is_flag=True, help="Do not ask any more.")
@json_option
@click.pass_obj
def set_keep_question(
    context: Context,
    tenant_name: str,
    number: str,
    days: int | None,
    purpose: str,
    own_words: bool,
    destroy: bool,
    at_start: bool,
    wording: Wording,
    off: bool,
) -> None:
    """Let colleagues ask, in a call, to keep its recording.

    They press *5; the question is asked from the next call on. Where callers would be promised more than the
    tenant agreed to, it is proposed to the tenant's admins, as by `accord line set`."""
    if off == (days is not None):
        raise click.UsageError("give either --days, the retention after a yes, or --off")
    context.open_catalogue()
    owner, found = find_tenant(tenant_name), open_sources(context.settings.prompts)
    row = find_line(owner, number)
    keep = None if days is None else KeepOptions(days, purpose, own_words, destroy, at_start, wording)
    change = LineChange(keep=keep)
    outcome = change_or_propose(row, change, sources=found, now=utc_now(), entropy=os.urandom)
    if outcome.error is not None:
        raise outcome.error
    if outcome.code == PENDING:
        _print_pending(owner.name)
    print_line(find_line(owner, number))
