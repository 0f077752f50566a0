"""``accord tenant import``: tenants, their numbers and people from a table."""

from __future__ import annotations

import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import click

from recorder import csv_rows
from recorder.catalogue import country_check
from recorder.cli.output import Record, is_json, json_option, print_json, print_list
from recorder.cli.output_files import check_output, write_output
from recorder.cli.progress import ProgressLine
from recorder.cli.tenant_creation import COUNTRY, LANGUAGE, PLAN, TIME_ZONE
from recorder.cli.terminal import printable
from recorder.cli.users import open_invitations, panel_link
from recorder.clock import utc_now
from recorder.domain import time_zones
from recorder.errors import ConfigError
from recorder.features.customer_import import service
from recorder.features.customer_import.entries import CustomerValues, read_customers
from recorder.features.customer_import.plan import PersonStep, Planner
from recorder.features.customer_import.queries import read_known_customers
from recorder.features.customer_import.table import TableMistake, read_table
from recorder.lifecycle import plans
from recorder.processes.customer_import import OperatorOperations, change_or_propose_line, complete_with
from recorder.processes.services import Context
from recorder.prompts.sound_sources import open_sources

MAX_FINDINGS = 50
"""Lines about what is wrong or differs; a report has all."""

WRITABLE = click.Path(path_type=Path, dir_okay=False, writable=True)

COLUMNS = ("line", "part", "state", "column", "error", "message", "hint")


@click.command("import")
@click.argument("table", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--check", "is_check", is_flag=True, help="Write nothing: list the mistakes, or the steps of the import."
)
@click.option(
    "--update",
    is_flag=True,
    help="Change existing settings that differ from the table, where possible; what promises callers more is "
    "proposed to the tenant's admins.",
)
@click.option("--report", type=WRITABLE, help="Write the outcome of each line, or all mistakes, to a CSV.")
@click.option(
    "--links", type=WRITABLE, help="Add the links of invitations to this CSV, to be passed on; send no mail."
)
@click.option("--as-routed", is_flag=True, help="Keep the digits of numbers: the dialplan routes these.")
@LANGUAGE
@TIME_ZONE
@COUNTRY
@PLAN
@json_option
@click.pass_obj
def import_customers(
    context: Context,
    table: Path,
    is_check: bool,
    update: bool,
    report: Path | None,
    links: Path | None,
    as_routed: bool,
    language: str,
    time_zone: str,
    country: str,
    plan: str,
) -> None:
    """Create tenants, lines and people from a TABLE.

    The table is a CSV file with a row for each number or person (docs/customer-tasks.md).

    The whole table is checked first, and nothing is written if it has a mistake. Existing rows stay as they
    are, so the same table can be imported again; interrupted, the import continues where it was. The
    options are the defaults for empty cells of a new tenant."""
    context.open_catalogue()
    time_zones.require_zone(time_zone)
    country, plan = country_check.country_code(country), plans.find_plan(plan).code
    defaults = CustomerValues("", country, language, (language,), time_zone, plan)
    sources = open_sources(context.settings.prompts).cached()
    write_report = _open_report(report)
    rows, unread = read_table(table)
    entries, mistakes = read_customers(rows)
    never, complete = context.settings.node.never_record, complete_with(sources)
    planner = Planner(read_known_customers(), defaults, complete, update, as_routed, never)
    tenants = planner.plan(entries)
    if mistakes := sorted([*unread, *mistakes, *planner.mistakes], key=lambda each: each.line):
        write_report(_row(each, "", "wrong") for each in mistakes)
        _print_findings(mistakes, report)
        click.echo(f"{len(mistakes)} mistakes: nothing was written", err=True)
        if is_json():
            print_json({"counts": [], "findings": [*map(_finding_record, mistakes)]})
        sys.exit(1)
    steps = [step for tenant in tenants for step in tenant.steps]
    if is_check:
        try_change = partial(
            change_or_propose_line, dry_run=True, sources=sources, now=utc_now(), entropy=os.urandom
        )
        outcomes = list(service.check_steps(tenants, update, try_change))
    else:
        invites = any(isinstance(step, PersonStep) and step.known is None for step in steps)
        write_links = _open_links(context, links) if invites else None
        operations = OperatorOperations.of(context.keyring(), open_invitations(context), sources, write_links)
        outcomes = []
        with ProgressLine() as progress:
            for outcome in service.CustomerImport(operations, update).run(tenants):
                outcomes.append(outcome)
                progress.tell("steps", len(outcomes), len(steps))
        outcomes.sort(key=lambda each: each.line)
    write_report(row for each in outcomes for row in _rows(each))
    findings = [finding for each in outcomes for finding in each.findings]
    _print_findings(findings, report)
    counts = Counter((each.part, each.state) for each in outcomes)
    totals: list[Record] = [
        {"part": part, **{state: counts[part, state] for state in service.STATES}}
        for part in service.PARTS.values()
    ]
    if is_json():
        print_json({"counts": totals, "findings": [*map(_finding_record, findings)]})
    else:
        print_list("counts", totals, ("part", *service.STATES))
    sys.exit(1 if any(each.state == service.REFUSED for each in outcomes) else 0)


WriteLinks = Callable[[Sequence[service.InvitationLink]], None]


def _open_links(context: Context, path: Path | None) -> WriteLinks | None:
    """Writes links to a file that nobody else can read; ``None`` where they are mailed.  Raises
    :class:`ConfigError` (``customer_import.links``)."""
    if path is None:
        if context.outbox().sends:
            return None
        raise ConfigError(
            "customer_import.links",
            "no mail can be sent, so nobody would get their invitation",
            "write the links to a file, --links FILE; or set [mail] host and [web] address",
        )
    try:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(path, flags, 0o600)
    except OSError as error:
        raise _no_link_file(path, str(error.strerror)) from error
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise _no_link_file(path, "it is no file that you alone can read")
    if not found.st_size:
        os.write(file, csv_rows.row(("tenant", "name", "address", "link")).encode())

    def write(links: Sequence[service.InvitationLink]) -> None:
        rows = ((each.customer, each.name, each.address, panel_link(context, each.path)) for each in links)
        os.write(file, "".join(map(csv_rows.row, rows)).encode())
        os.fsync(file)

    return write


def _no_link_file(path: Path, why: str) -> ConfigError:
    return ConfigError(
        "customer_import.links",
        f"{path} cannot have the links: {why}",
        "name a new file: whoever reads it can log in as the people in it",
    )


ReportRow = tuple[int, str, str, str, str, str, str]


def _open_report(path: Path | None) -> Callable[[Iterable[ReportRow]], None]:
    """Writes the report, if there is to be one: that it can be written shows before anything is done."""
    if path is None:
        return lambda rows: None
    check_output(path)

    def write(rows: Iterable[ReportRow]) -> None:
        write_output(path, "".join(map(csv_rows.row, (COLUMNS, *rows))).encode())

    return write


def _rows(outcome: service.StepOutcome) -> Iterable[ReportRow]:
    if outcome.findings:
        return (_row(each, outcome.part, outcome.state) for each in outcome.findings)
    return ((outcome.line, outcome.part, outcome.state, "", "", "", ""),)


def _row(finding: TableMistake, part: str, state: str) -> ReportRow:
    error = finding.error
    return finding.line, part, state, finding.column, error.error_id, error.message, error.hint


def _print_findings(findings: Sequence[TableMistake], report: Path | None) -> None:
    for each in findings[:MAX_FINDINGS]:
        where = f"line {each.line}" + (f", {each.column}" if each.column else "")
        click.echo(printable(f"{where}: {each.error.error_id}: {each.error.message}"), err=True)
        if each.error.hint:
            click.echo(printable(f"        {each.error.hint}"), err=True)
    if len(findings) > MAX_FINDINGS:
        where = "are in the report" if report else "--report FILE writes all of them"
        click.echo(f"… and {len(findings) - MAX_FINDINGS} more: {where}", err=True)


def _finding_record(finding: TableMistake) -> Record:
    error = finding.error
    return {
        "line": finding.line,
        "column": finding.column,
        "error": error.error_id,
        "message": error.message,
        "hint": error.hint,
    }
