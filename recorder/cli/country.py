"""``accord country``: each country's rules for recordings, and the lines that break them."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click

from recorder.catalogue import country_check, tenant_queries
from recorder.cli.output import Record, is_json, json_option, print_json, print_list
from recorder.lifecycle import line_rules
from recorder.lifecycle.line_rules import Misfit
from recorder.processes.services import Context
from recorder.prompts.country_file import load_pack, shipped_packs
from recorder.prompts.country_rules import Duty, Pack, Rule, RuleSource

DISCLAIMER = "Facts with their sources, not legal advice."

WIDTH = 110


@click.group()
def country() -> None:
    """Countries: their rules for recordings, not legal advice."""


@country.command("list")
@json_option
def list_packs() -> None:
    """List the laxest mode and the longest retention by purpose."""
    rows = [
        {"code": pack.code, "name": pack.name, **_rule_record(rule)}
        for pack in shipped_packs().values()
        for rule in pack.rules.values()
    ]
    print_list("rules", rows, ("code", "name", "purpose", "mode", "longest_keep_days"))


def _rule_record(rule: Rule) -> Record:
    return {"purpose": rule.purpose, "mode": rule.mode, "longest_keep_days": rule.longest_keep_days}


@country.command("show")
@click.argument("code")
@json_option
def show_pack(code: str) -> None:
    """Show a country's rules, each with its source."""
    pack = shipped_packs()[country_check.country_code(code)]
    if is_json():
        print_json(_pack_record(pack))
        return
    page = _Page()
    click.echo(f"{pack.code}: {pack.name}. {DISCLAIMER}")
    click.echo("\nFor each purpose, the laxest mode and the longest retention:")
    for rule in pack.rules.values():
        page.item(f"{rule.purpose}: {rule.mode}, at most {rule.longest_keep_days} days", rule.sources)
    for title, duties in _SECTIONS.items():
        page.duties(title, getattr(pack, duties))
    page.end()


_SECTIONS: Final = {
    "What is said:": "say",
    "What is asked:": "ask",
    "Who is told, and where:": "tell",
    "Also:": "notes",
}
"""The titles of the fields of a pack with its duties."""


def _pack_record(pack: Pack) -> Record:
    return {
        "code": pack.code,
        "name": pack.name,
        "rules": [
            {**_rule_record(rule), "sources": [*map(_source_record, rule.sources)]}
            for rule in pack.rules.values()
        ],
        "duties": [
            {
                "kind": kind,
                "about": duty.what,
                "text": duty.text,
                "where": duty.where,
                "sources": [*map(_source_record, duty.sources)],
            }
            for kind in _SECTIONS.values()
            for duty in getattr(pack, kind)
        ],
    }


def _source_record(source: RuleSource) -> Record:
    return {"name": source.name, "link": source.link, "sure": source.sure, "checked_on": source.checked}


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
    "draft",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The draft of a pack: it takes the place of the shipped one with its code.",
)
@json_option
@click.pass_obj
def check(context: Context, draft: Path | None) -> None:
    """List the lines that do not comply with their country's rules.

    Exits with 1 if there is one."""
    packs = dict(shipped_packs())
    if draft is not None:
        pack = load_pack(draft)
        packs[pack.code] = pack
    context.open_catalogue()
    without = [each for each in tenant_queries.customers() if each.country.casefold() not in packs]
    misfits, count = line_rules.find_misfits(packs), line_rules.count_active_lines()
    if is_json():
        print_json({
            "lines": count,
            "tenants_without_pack": [{"id": each.id, "country": each.country} for each in without],
            "misfits": [*map(_misfit_record, misfits)],
        })  # fmt: skip
    else:
        for each in without:
            click.echo(
                f"{each.name} ({each.id}): country {each.country!r} has no pack: the strict one applies"
            )
            click.echo(f"        accord tenant set {each.id} --country <code>")
        for misfit in misfits:
            _print_misfit(misfit)
        click.echo(
            f"{len(misfits)} of {count} lines do not fit. {DISCLAIMER}"
            if misfits
            else f"{count} lines fit their tenants' countries. {DISCLAIMER}"
        )
    sys.exit(1 if misfits else 0)


def _misfit_record(misfit: Misfit) -> Record:
    return {
        "tenant": misfit.tenant.id,
        "line": misfit.line.id,
        "number": misfit.line.number,
        "country": misfit.pack.code,
        "laxest_mode": misfit.laxest,
        "objections": [
            {"kind": each.kind, "message": each.message, "hint": each.hint} for each in misfit.objections
        ],
    }


def _print_misfit(misfit: Misfit) -> None:
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
