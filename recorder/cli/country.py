"""``accord country``: each country's rules for recordings, and the lines that break them."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

import click

from recorder.catalogue import country_check, tenant_queries
from recorder.catalogue.country_check import Misfit
from recorder.processes.services import Context
from recorder.prompts.country_file import load_pack, shipped_packs
from recorder.prompts.country_rules import Duty, RuleSource

DISCLAIMER = "Facts with their sources, not legal advice."

WIDTH = 110


@click.group()
def country() -> None:
    """What a country asks of a recording: facts with their sources, not legal advice."""


@country.command("list")
def list_packs() -> None:
    """The country packs: code, name, and for each purpose the laxest mode and the longest days."""
    for pack in shipped_packs().values():
        click.echo(f"{pack.code:<8}{pack.name}")
        for rule in pack.rules.values():
            click.echo(f"{'':<8}{rule.purpose:<12}{rule.mode:<9}{rule.longest_keep_days:>5} days")


@country.command("show")
@click.argument("code")
def show_pack(code: str) -> None:
    """Everything that a country's pack says, each rule with its source and how sure it is."""
    pack = shipped_packs()[country_check.country_code(code)]
    page = _Page()
    click.echo(f"{pack.code}: {pack.name}. {DISCLAIMER}")
    click.echo("\nFor each purpose, the laxest mode and the longest keeping time:")
    for rule in pack.rules.values():
        page.item(f"{rule.purpose}: {rule.mode}, at most {rule.longest_keep_days} days", rule.sources)
    page.duties("What is said:", pack.say)
    page.duties("What is asked:", pack.ask)
    page.duties("Who is told, and where:", pack.tell)
    page.duties("Also:", pack.notes)
    page.end()


class _Page:
    """Items with numbered references to their sources, which are listed at the end."""

    def __init__(self) -> None:
        self.numbers: dict[RuleSource, int] = {}

    def item(self, text: str, sources: Iterable[RuleSource]) -> None:
        cited = "".join(f"[{self.numbers.setdefault(each, len(self.numbers) + 1)}]" for each in sources)
        click.echo(textwrap.fill(f"- {text} {cited}", WIDTH, subsequent_indent="  "))

    def duties(self, title: str, duties: Iterable[Duty]) -> None:
        for number, duty in enumerate(duties):
            if not number:
                click.echo(f"\n{title}")
            where = f" ({', '.join(duty.where)})" if duty.where else ""
            self.item(("" if duty.what == "note" else f"{duty.what}: ") + duty.text + where, duty.sources)

    def end(self) -> None:
        click.echo("\nSources:")
        for source, number in self.numbers.items():
            click.echo(f"[{number}] {source}\n    {source.link}")


@country.command("check")
@click.option(
    "--pack",
    "changed",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A pack's file as it is to become: compares with it in place of the one of its code.",
)
@click.pass_obj
def check(context: Context, changed: Path | None) -> None:
    """List every recorded line that does not fit its customer's country; exits with 1 where there is one."""
    packs = dict(shipped_packs())
    if changed is not None:
        pack = load_pack(changed)
        packs[pack.code] = pack
    context.open_catalogue()
    for owner in tenant_queries.customers():
        if owner.country.casefold() not in packs:
            click.echo(
                f"{owner.name} ({owner.id}): country {owner.country!r} has no pack: the strict one applies"
            )
            click.echo(f"        accord tenant set {owner.id} --country <code>")
    found = country_check.find_misfits(packs)
    for misfit in found:
        _misfit(misfit)
    if found:
        click.echo(f"{len(found)} of {country_check.count_active_lines()} lines do not fit. {DISCLAIMER}")
        sys.exit(1)
    click.echo(f"{country_check.count_active_lines()} lines fit their customers' countries. {DISCLAIMER}")


def _misfit(misfit: Misfit) -> None:
    owner, line = misfit.tenant, misfit.line
    click.echo(f"{line.number}  {owner.name} ({owner.id})  line {line.id}")
    for objection in misfit.objections:
        click.echo(f"        {objection.message}: {objection.hint}")
    too_long = [each.rule.longest_keep_days for each in misfit.objections if each.kind == "keep_days"]
    if not too_long:
        click.echo(f"        → accord line set --tenant {owner.id} {line.number} --mode {misfit.laxest}")
    else:
        click.echo(
            f"        → an announcement that says at most {min(too_long)} days, made for {misfit.laxest} or "
            "stricter (accord announcement compose), then "
            f"accord line set --tenant {owner.id} {line.number} --announcement <its id>"
        )
