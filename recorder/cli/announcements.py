"""``accord announcement``: a line's announcements and questions."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from recorder.catalogue import queries
from recorder.cli.prompts import LANGUAGE, own_sentences, wording_option
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import utc_now
from recorder.domain.call_plan import MODES
from recorder.errors import ConfigError
from recorder.features.tenants import announcements, composition
from recorder.features.tenants.default_lines import KEEP_DAYS, PURPOSES
from recorder.features.tenants.rules import OwnSound
from recorder.processes.services import Context
from recorder.prompts.composer import Greeting
from recorder.prompts.country_file import pack_for
from recorder.prompts.sentences import Wording
from recorder.prompts.sound_check import check_clip, check_sound, read_file
from recorder.prompts.sound_sources import open_sources

WAV = click.Path(path_type=Path, exists=True, dir_okay=False)

purposes_option = click.option(
    "--purpose", "purposes", multiple=True, default=PURPOSES, show_default=True, help="Repeat it for more."
)
keep_days_option = click.option("--keep-days", type=int, default=KEEP_DAYS, show_default=True)


@click.group()
def announcement() -> None:
    """What a line says before it records, and what it asks."""


@announcement.command("list")
@TENANT
@click.pass_obj
def list_announcements(context: Context, tenant_name: str) -> None:
    """A customer's announcements: id, name, version, language, purposes, days kept, mode, where from."""
    context.open_catalogue()
    for row in queries.announcements(find_tenant(tenant_name).id):
        click.echo(
            f"{row.id}  {row.name}  v{row.version}  {row.language}  {','.join(row.purposes)}"
            f"  {row.keep_days} days  {row.mode}  {'own sound' if row.composition is None else 'composed'}"
        )


@announcement.command("add")
@TENANT
@click.argument("name")
@click.option("--wav", type=WAV, required=True)
@click.option("--text", required=True, help="What the sound says, word for word.")
@click.option("--language", type=LANGUAGE, required=True)
@purposes_option
@keep_days_option
@click.option("--mode", type=click.Choice(MODES), default=MODES[0], show_default=True)
@click.option("--question", type=WAV, help="opt-in: what is asked; opt-out: what is said after a wrong key.")
@click.option("--question-text", default="", help="What that says, word for word.")
@click.option("--declined", type=WAV, help="That the call is not recorded.")
@click.option("--declined-text", default="", help="What that says, word for word.")
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
    """Add your own sound with its text; the same name again is its next version. Prints its id."""
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
    click.echo(row.id)


@announcement.command("compose")
@TENANT
@click.argument("name")
@click.option("--language", type=LANGUAGE, required=True)
@click.option(
    "--mode", type=click.Choice(MODES), help="Default: the laxest that the customer's country allows."
)
@purposes_option
@click.option("--own", multiple=True, metavar="CODE=SENTENCE", help="The sentence for a purpose of your own.")
@keep_days_option
@click.option("--greeting", type=WAV, help="Your own sound, heard first.")
@click.option("--greeting-text", default="", help="What the greeting says, word for word.")
@click.option(
    "--greeting-says-all",
    is_flag=True,
    help="You attest that it says what must be said in this mode: nothing comes after it.",
)
@wording_option
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
    """Put an announcement together from the catalogue's sentences, with what its mode asks. Prints its id."""
    if greeting is None and (greeting_text or greeting_says_all):
        raise ConfigError("prompt.greeting", "there is no greeting", "name its sound: --greeting WAV")
    context.open_catalogue()
    owner = find_tenant(tenant_name)
    first = None if greeting is None else Greeting(greeting_text, read_file(greeting), greeting_says_all)
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
    click.echo(row.id)
    click.echo(f"  {row.mode}: {row.text}", err=True)
    for each in (row.question, row.declined):
        if each is not None:
            click.echo(f"  {each.text}", err=True)


def _checked(path: Path, check: Callable[[bytes, str], object]) -> bytes:
    content = read_file(path)
    check(content, str(path))
    return content
