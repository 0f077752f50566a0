"""``accord announcement``: a line's announcements and questions."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from recorder.catalogue import queries
from recorder.catalogue.records import AnnouncementRow
from recorder.cli.output import Record, fields_of, json_option, print_list, print_record, print_result
from recorder.cli.prompts import LANGUAGE, own_sentences, wording_option
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import utc_now
from recorder.domain.call_plan import MODES
from recorder.errors import CatalogueError
from recorder.features.tenants import announcements, composition
from recorder.features.tenants.default_lines import KEEP_DAYS, PURPOSES
from recorder.features.tenants.greeting_sound import LARGEST, convert_greeting
from recorder.features.tenants.rules import OwnSound
from recorder.processes.services import Context
from recorder.prompts.composer import Greeting
from recorder.prompts.country_file import pack_for
from recorder.prompts.sentences import Wording
from recorder.prompts.sound_check import check_clip, check_sound, read_file
from recorder.prompts.sound_sources import open_sources

WAV = click.Path(path_type=Path, exists=True, dir_okay=False)

purposes_option = click.option(
    "--purpose", "purposes", multiple=True, default=PURPOSES, show_default=True, help="A purpose; repeatable."
)
keep_days_option = click.option(
    "--keep-days", type=int, default=KEEP_DAYS, show_default=True, help="The retention in days."
)


COLUMNS = ("id", "name", "version", "language", "purposes", "keep_days", "mode", "source")


@click.group()
def announcement() -> None:
    """Announcements: the spoken notice, and the question."""


@announcement.command("list")
@TENANT
@json_option
@click.pass_obj
def list_announcements(context: Context, tenant_name: str) -> None:
    """List a tenant's announcements, every version."""
    context.open_catalogue()
    rows = queries.announcements(find_tenant(tenant_name).id)
    print_list("announcements", map(_record, rows), COLUMNS)


def _record(row: AnnouncementRow) -> Record:
    """An announcement; ``source``: Accord composed it, or it is the tenant's own sound."""
    return {
        **fields_of(row, "id", "tenant", "name", "version", "language", "purposes", "keep_days", "mode"),
        "source": "own sound" if row.composition is None else "composed",
        "duration_ms": row.duration_ms,
        "text": row.text,
        "question_text": None if row.question is None else row.question.text,
        "declined_text": None if row.declined is None else row.declined.text,
        "created_at": row.created_at,
    }


@announcement.command("show")
@click.argument("announcement_id", metavar="ANNOUNCEMENT")
@TENANT
@json_option
@click.pass_obj
def show_announcement(context: Context, announcement_id: str, tenant_name: str) -> None:
    """Show an announcement by its id, and the lines that use it."""
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    row = queries.announcement(owner.id, announcement_id)
    if row is None:
        raise CatalogueError(
            "announcement.unknown",
            f"{owner.name} has no announcement {announcement_id}",
            "`accord announcement list` shows the ids",
        )
    lines = [each.number for each in queries.lines(owner.id) if row.id in each.announcements]
    print_record({**_record(row), "lines": lines})


@announcement.command("add")
@TENANT
@click.argument("name")
@click.option("--wav", type=WAV, required=True, help="Its sound.")
@click.option("--text", required=True, help="The words of the sound, verbatim.")
@click.option("--language", type=LANGUAGE, required=True, help="The language of the sound.")
@purposes_option
@keep_days_option
@click.option(
    "--mode", type=click.Choice(MODES), default=MODES[0], show_default=True, help="The mode it is made for."
)
@click.option("--question", type=WAV, help="opt-in: the question; opt-out: the sentence after a wrong key.")
@click.option("--question-text", default="", help="The words of --question, verbatim.")
@click.option("--declined", type=WAV, help="The sentence that the call is not recorded.")
@click.option("--declined-text", default="", help="The words of --declined, verbatim.")
@json_option
@click.pass_obj
def add_announcement(
    context: Context,
    tenant_name: str,
    name: str,
    wav: Path,
    text: str,
    language: str,
    purposes: tuple[str, ...],
    keep_days: int,
    mode: str,
    question: Path | None,
    question_text: str,
    declined: Path | None,
    declined_text: str,
) -> None:
    """Add your own sound with its text. Prints its id.

    If there is an announcement of that NAME, this is its next version."""
    context.open_catalogue()
    question_sound = None if question is None else OwnSound(question_text, _checked(question, check_sound))
    refused = None if declined is None else OwnSound(declined_text, _checked(declined, check_clip))
    row = announcements.create_announcement(
        find_tenant(tenant_name).id,
        name=name,
        language=language,
        text=text,
        purposes=purposes,
        keep_days=keep_days,
        wav=_checked(wav, check_sound),
        mode=mode,
        question=question_sound,
        declined=refused,
        now=utc_now(),
        entropy=os.urandom,
    )
    print_result(_record(row), row.id)


@announcement.command("compose")
@TENANT
@click.argument("name")
@click.option("--language", type=LANGUAGE, required=True, help="The language of the announcement.")
@click.option(
    "--mode",
    type=click.Choice(MODES),
    help="The mode it is made for; default: the laxest that the tenant's country allows.",
)
@purposes_option
@click.option("--own", multiple=True, metavar="CODE=SENTENCE", help="The sentence for your own purpose.")
@keep_days_option
@click.option("--greeting", type=WAV, help="Your own sound, played first.")
@click.option("--greeting-text", default="", help="The words of --greeting, verbatim.")
@click.option(
    "--greeting-says-all",
    is_flag=True,
    help="You attest that the greeting says all that the mode requires: nothing is played after it.",
)
@wording_option
@json_option
@click.pass_obj
def compose_announcement(
    context: Context,
    tenant_name: str,
    name: str,
    language: str,
    mode: str | None,
    purposes: tuple[str, ...],
    own: tuple[str, ...],
    keep_days: int,
    greeting: Path | None,
    greeting_text: str,
    greeting_says_all: bool,
    wording: Wording,
) -> None:
    """Compose an announcement of recorded sentences. Prints its id.

    In a mode that asks for consent, its question is composed, too."""
    if greeting is None and (greeting_text or greeting_says_all):
        raise click.UsageError("there is no greeting: name its sound with --greeting WAV")
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    first = (
        None
        if greeting is None
        else Greeting(
            greeting_text, convert_greeting(read_file(greeting, LARGEST), str(greeting)), greeting_says_all
        )
    )
    row = composition.compose(
        owner.id,
        name=name,
        language=language,
        mode=mode or pack_for(owner.country).laxest_mode(purposes),
        purposes=purposes,
        keep_days=keep_days,
        own=own_sentences(own),
        greeting=first,
        wording=wording,
        sources=open_sources(context.settings.prompts),
        now=utc_now(),
        entropy=os.urandom,
    )
    print_result(_record(row), row.id)
    click.echo(f"  {row.mode}: {row.text}", err=True)
    for each in (row.question, row.declined):
        if each is not None:
            click.echo(f"  {each.text}", err=True)


def _checked(path: Path, check: Callable[[bytes, str], object]) -> bytes:
    content = read_file(path)
    check(content, str(path))
    return content
