"""``accord line``: what changes numbers, their announcements and their consent modes."""

from __future__ import annotations

import os

import click

from recorder.catalogue import queries
from recorder.catalogue.records import FORMATS, KeepOptions, LineRow, TenantRow
from recorder.cli.lines import dashed
from recorder.cli.prompts import LANGUAGE, wording_option
from recorder.cli.tenant_name import TENANT, find_tenant
from recorder.clock import utc_now
from recorder.domain import phone_numbers
from recorder.domain.call_events import EXTERNAL, INTERNAL
from recorder.domain.call_plan import ALONE, BOTH, MODES, WAYS
from recorder.domain.line_policy import OUTBOUND_TIMINGS, TIMINGS
from recorder.errors import CatalogueError
from recorder.features.tenants import composition, keep_options, lines, transfer_options
from recorder.features.tenants.default_lines import add_line as create_shipped_line
from recorder.features.tenants.default_lines import default_language, shipped_for
from recorder.lifecycle import line_history
from recorder.processes.services import Context
from recorder.prompts.composer import language_menu
from recorder.prompts.sentences import Wording
from recorder.prompts.sound_sources import open_sources

OFF = "off"

_BEEPS = {"outside": EXTERNAL, "colleague": INTERNAL, "both": BOTH, "nobody": ""}
"""Who hears the tone, in the words of operators."""


@click.command("add")
@TENANT
@click.argument("number")
@click.option(
    "--announcement", "announcement_id", help="Its id; default: the shipped one, in --language for --mode."
)
@click.option("--language", type=LANGUAGE, help="Of the shipped announcement; default: the customer's.")
@click.option("--label", default="")
@click.option("--as-routed", is_flag=True, help="Keep the digits as they are: the dialplan routes these.")
@click.option(
    "--format", "formats", type=click.Choice(FORMATS), multiple=True, help="Default: the plan's usual one."
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    help="Default: the announcement's; of the shipped one the laxest that the customer's country allows.",
)
@click.option("--off", is_flag=True, help="Not recorded until the customer sets it up in the panel.")
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
    """Switch recording on for a number. Prints the line's id.

    It may be written in any way; a number of the customer's country may leave the country out. It must be the
    one that the dialplan routes: where that has no country code, say --as-routed."""
    context.open_catalogue()
    owner, found = find_tenant(tenant_name), open_sources(context.settings.prompts)
    if not as_routed:
        number = phone_numbers.to_canonical(number, owner.country) or number
    line_id = create_shipped_line(
        owner,
        number,
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
    click.echo(line_id)


@click.command("end")
@TENANT
@click.argument("number")
@click.pass_obj
def end_line(context: Context, tenant_name: str, number: str) -> None:
    """Record a number no more; its recordings stay whose they are."""
    context.open_catalogue()
    row = find_line(find_tenant(tenant_name), number)
    line_history.end_line(row.tenant, row.id, now=utc_now(), entropy=os.urandom)


@click.command("move")
@TENANT
@click.argument("number")
@click.option("--to", "to_name", required=True, help="The id or name of the customer whose it is now.")
@click.option("--announcement", "announcement_id", help="One of theirs; default: the shipped one.")
@click.option("--language", type=LANGUAGE, help="Of the shipped announcement; default: the customer's.")
@click.option("--label", default="")
@click.option(
    "--format", "formats", type=click.Choice(FORMATS), multiple=True, help="Default: the plan's usual one."
)
@click.option("--mode", type=click.Choice(MODES), help="As for `accord line add`.")
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
) -> None:
    """A number is another customer's from now on, and says what theirs do. Prints the new line's id.

    It starts anew: they see nothing of what was before. What was recorded, and calls that go on now, stay
    with the customer who had it."""
    context.open_catalogue()
    row, to = find_line(find_tenant(tenant_name), number), find_tenant(to_name)
    found, now = open_sources(context.settings.prompts), utc_now()
    if announcement_id is None:
        announcement_id = shipped_for(to, language or default_language(to), mode, now, os.urandom, found).id
    choices = {"announcement": announcement_id, "label": label, "formats": formats, "mode": mode}
    move = lines.move_line(row.tenant, row.id, to.id, **choices, now=now, entropy=os.urandom)  # type: ignore[arg-type]
    if move is None:
        raise CatalogueError(
            "line.unknown", f"{number} has ended meanwhile", "`accord line list` shows the customer's lines"
        )
    if transfer_options.is_required(to.id):
        transfer_options.set_transfer_notice(
            to.id, move.id, ALONE, sources=found, now=now, entropy=os.urandom
        )
    click.echo(move.id)


@click.command("announce")
@TENANT
@click.argument("number")
@click.argument("announcement_ids", metavar="ANNOUNCEMENT...", nargs=-1, required=True)
@click.pass_obj
def announce_line(context: Context, tenant_name: str, number: str, announcement_ids: tuple[str, ...]) -> None:
    """Let a number say another announcement (its id), or its next version, in place of all that it said.

    Several, each in another language, come with a menu to choose among them, the first one first. The
    number's mode is the one that they were made for."""
    context.open_catalogue()
    row = find_line(find_tenant(tenant_name), number)
    language_of = {each.id: each.language for each in queries.announcements(row.tenant)}
    languages = [language_of[each] for each in announcement_ids if each in language_of]
    menu = None
    if len(languages) == len(announcement_ids) == len(set(languages)) > 1:  # other mistakes are refused below
        menu = language_menu(languages, sources=open_sources(context.settings.prompts))
    first, *others = announcement_ids
    lines.set_line_announcement(
        row.tenant, row.id, first, others=others, menu=menu, now=utc_now(), entropy=os.urandom
    )


@click.command("mode")
@TENANT
@click.argument("number")
@click.argument("mode", type=click.Choice(MODES))
@click.pass_obj
def change_mode(context: Context, tenant_name: str, number: str, mode: str) -> None:
    """Announce only (notice), let a key refuse (opt-out), or wait for a yes (opt-in), from now on.

    What the number says is put together anew for that mode; where it says your own sound, add one that was
    made for it (`accord announcement add --mode`), and name it: `accord line announce`."""
    context.open_catalogue()
    row, found = find_line(find_tenant(tenant_name), number), open_sources(context.settings.prompts)
    composition.set_line_mode(row.tenant, row.id, mode, sources=found, now=utc_now(), entropy=os.urandom)


@click.command("timing")
@TENANT
@click.argument("number")
@click.argument("timing", type=click.Choice(tuple(map(dashed, TIMINGS))))
@click.pass_obj
def change_timing(context: Context, tenant_name: str, number: str, timing: str) -> None:
    """Announce before it rings, or once somebody has answered, to both, from now on.

    Before it rings the call is answered, and billed, by the announcement. At pick-up a number can only
    announce (notice), in one language."""
    context.open_catalogue()
    row = find_line(find_tenant(tenant_name), number)
    lines.set_line_timing(row.tenant, row.id, timing.replace("-", "_"), now=utc_now(), entropy=os.urandom)


@click.command("format")
@TENANT
@click.argument("number")
@click.argument("formats", type=click.Choice(FORMATS), nargs=-1, required=True)
@click.pass_obj
def change_formats(context: Context, tenant_name: str, number: str, formats: tuple[str, ...]) -> None:
    """Store a number's recordings in one format or both, from the next call on.

    The customer's plan says which there are."""
    context.open_catalogue()
    row = find_line(find_tenant(tenant_name), number)
    lines.set_line_formats(row.tenant, row.id, formats, "operator", now=utc_now(), entropy=os.urandom)


@click.command("outbound")
@TENANT
@click.argument("number")
@click.argument("outbound", type=click.Choice(tuple(map(dashed, OUTBOUND_TIMINGS))))
@click.pass_obj
def change_outbound(context: Context, tenant_name: str, number: str, outbound: str) -> None:
    """Record calls that are made from a number too, from now on, or not (off).

    The number called is told, and asked where the number's mode asks, once it has answered and before they
    are connected; or both are told as soon as they are connected (only to announce, in one language). Your
    dialplan says which calls are made from the number: docs/freeswitch.md, Outbound calls."""
    context.open_catalogue()
    row = find_line(find_tenant(tenant_name), number)
    lines.set_line_outbound(row.tenant, row.id, outbound.replace("-", "_"), now=utc_now(), entropy=os.urandom)


@click.command("languages")
@TENANT
@click.argument("number")
@click.argument("languages", type=LANGUAGE, nargs=-1, required=True)
@click.pass_obj
def change_languages(context: Context, tenant_name: str, number: str, languages: tuple[str, ...]) -> None:
    """Let a number speak these languages, from now on: with several, a menu comes first, a key for each.

    What it does not say yet in a language is put together, for its mode, purposes and keeping time; who
    presses no key is told in the first. Prints what it says, one a line: language, id, name."""
    context.open_catalogue()
    row, found = find_line(find_tenant(tenant_name), number), open_sources(context.settings.prompts)
    composition.set_line_languages(
        row.tenant, row.id, languages, sources=found, now=utc_now(), entropy=os.urandom
    )
    keep_options.extend_to_languages(row.tenant, row, sources=found, now=utc_now(), entropy=os.urandom)
    announcements = {each.id: each for each in queries.announcements(row.tenant)}
    for each in find_line(find_tenant(tenant_name), number).announcements:
        click.echo(f"{announcements[each].language}  {each}  {announcements[each].name}")


@click.command("keep")
@TENANT
@click.argument("number")
@click.option("--days", type=click.IntRange(min=1), help="How long a recording is kept on a yes.")
@click.option("--purpose", default="agreement", show_default=True, help="What for.")
@click.option("--own-words", is_flag=True, help="The colleague asks; else a question is played to both.")
@click.option("--destroy", is_flag=True, help="Without a yes it is destroyed at the end of the call.")
@click.option("--at-start", is_flag=True, help="Ask by itself, as soon as they speak.")
@wording_option
@click.option("--off", is_flag=True, help="Ask no more.")
@click.pass_obj
def keep_line(
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
    """Let colleagues on a number ask, in the call (*5), whether its recording may be kept, from now on."""
    if off == (days is not None):
        raise click.UsageError("give either --days, how long a recording is kept on a yes, or --off")
    context.open_catalogue()
    row, found = find_line(find_tenant(tenant_name), number), open_sources(context.settings.prompts)
    keep = None if days is None else KeepOptions(days, purpose, own_words, destroy, at_start, wording)
    keep_options.set_line_keep(row.tenant, row.id, keep, sources=found, now=utc_now(), entropy=os.urandom)


@click.command("joining")
@TENANT
@click.argument("number")
@click.argument("how", type=click.Choice((*WAYS, OFF)))
@click.option("--ask", is_flag=True, help="Ask them, too: in opt-out 2 refuses, in opt-in only 1 agrees.")
@click.pass_obj
def tell_joiners(context: Context, tenant_name: str, number: str, how: str, ask: bool) -> None:
    """Tell a colleague who joins a call later that it is recorded, from now on: alone (the outside party
    hears nothing meanwhile), both together, or not at all (off).

    Where they are asked and do not agree, the call is recorded no further. Who was in the call before is not
    told again. Calls that are going on keep what they began with."""
    context.open_catalogue()
    row, found = find_line(find_tenant(tenant_name), number), open_sources(context.settings.prompts)
    way = None if how == OFF else how
    if ask and way is None:
        raise click.UsageError("--ask needs alone or both: whoever is not told cannot be asked")
    transfer_options.set_transfer_notice(
        row.tenant, row.id, way, ask=ask, sources=found, now=utc_now(), entropy=os.urandom
    )
    for language in transfer_options.silent_languages(row.tenant, row.id):
        click.echo(f"nobody is told in {language}: there is no sentence in that language", err=True)


@click.command("delete-in-call")
@TENANT
@click.argument("number")
@click.argument("allowed", type=click.Choice(("on", "off")))
@click.pass_obj
def delete_in_call(context: Context, tenant_name: str, number: str, allowed: str) -> None:
    """Let colleagues on a number stop a recording and have it destroyed, in the call (*9, then 1), from now
    on.

    Both are told that it is destroyed, and the customer sees that it was."""
    context.open_catalogue()
    row, found = find_line(find_tenant(tenant_name), number), open_sources(context.settings.prompts)
    keep_options.set_line_deletable(
        row.tenant, row.id, allowed == "on", sources=found, now=utc_now(), entropy=os.urandom
    )


@click.command("beep")
@TENANT
@click.argument("number")
@click.argument("who", type=click.Choice(tuple(_BEEPS)))
@click.pass_obj
def beep_line(context: Context, tenant_name: str, number: str, who: str) -> None:
    """Let a short tone every quarter of a minute say that a number's calls are recorded, from now on."""
    context.open_catalogue()
    row = find_line(find_tenant(tenant_name), number)
    keep_options.set_line_beep(row.tenant, row.id, _BEEPS[who], now=utc_now(), entropy=os.urandom)


def find_line(owner: TenantRow, number: str) -> LineRow:
    """A customer's line by its number.  Raises :class:`CatalogueError`."""
    rows, digits = queries.lines(owner.id), phone_numbers.strip_punctuation(number).removeprefix("+")
    found = next((row for row in rows if row.number.removeprefix("+") == digits), None)
    if found is None:
        one = phone_numbers.to_canonical(number, owner.country)
        found = next(
            (row for row in rows if one == phone_numbers.to_canonical(row.number, owner.country)), None
        )
    if found is None:
        raise CatalogueError(
            "line.unknown",
            f"{owner.name} has no line {number}",
            "`accord line list` shows the customer's lines",
        )
    return found
