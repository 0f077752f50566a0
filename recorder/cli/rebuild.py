"""``accord rebuild``: restore recordings, amendments and tombstones from the bucket alone."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recorder.catalogue import tenant_queries
from recorder.cli import logs
from recorder.cli.output_files import check_output, open_output
from recorder.clock import to_iso, utc_now
from recorder.features.offboarding import queries
from recorder.features.recovery import rebuild_queue, recording_rows
from recorder.lifecycle import amendments, hold_review, limits
from recorder.lifecycle.retention_limits import LimitRecovery
from recorder.processes.services import Context

if TYPE_CHECKING:
    from recorder.features.disputes.copies import DisputeRecovery
    from recorder.features.recovery.rebuild import Rebuild, RebuildReport

EVERY = 5000
"""Where no terminal watches, one line is written for so many."""

MAX_LINES = 50
"""Troubles and holds that are printed; ``--report`` and ``--holds`` have all."""

PHASES = {"list": "looking", "read": "recordings", "keys": "keys", "rows": "rows"}
OUTCOMES = {
    recording_rows.MADE: "restored",
    recording_rows.COMPLETED: "completed",
    recording_rows.CORRECTED: "set to what was sealed",
    recording_rows.ERASED: "destroyed since, and now listed so",
    recording_rows.UNCHANGED: "unchanged",
    recording_rows.DIFFERS: "differ from what was sealed, and were left so",
    recording_rows.SKIPPED: "left out: the objects are not what was sealed",
    rebuild_queue.UNPLACED: "folders without anything of Accord's",
    rebuild_queue.KEY_ALONE: "keys without a recording",
    rebuild_queue.ROW_ALONE: "rows without anything in the bucket",
    rebuild_queue.STATEMENT: "statements that were not followed",
}


@click.command()
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="Reads at a time, of each process.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=lambda: len(os.sched_getaffinity(0)),
    show_default="one per core",
    help="Processes that read and verify.",
)
@click.option("--correct", is_flag=True, help="Set rows that say something else to what was sealed.")
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Write all that is wrong to a file."
)
@click.option("--holds", is_flag=True, help="Only list the holds.")
@click.option(
    "--believe-dates",
    is_flag=True,
    help="Follow what a revoked key dated before its revocation, though nothing shows when it was put.",
)
@click.option("--confirm-holds", is_flag=True, help="The holds are complete: let recordings expire again.")
@click.pass_obj
def rebuild(
    context: Context,
    threads: int,
    processes: int,
    correct: bool,
    report: Path | None,
    holds: bool,
    believe_dates: bool,
    confirm_holds: bool,
) -> None:
    """Make the catalogue's recordings again from the bucket. Broken off, it goes on where it was; on an
    intact catalogue it changes nothing. Afterwards nothing expires until the holds are confirmed."""
    context.open_catalogue()
    if holds or confirm_holds:
        _holds()
        if confirm_holds:
            confirmed = hold_review.confirm_holds(context.signer(), context.trust(), utc_now(), os.urandom)
            click.echo(
                "Confirmed: recordings expire again."
                if confirmed
                else "Nothing to confirm: recordings expire."
            )
        return
    from recorder.features.disputes.copies import restore_disputes

    check_output(report)
    bar = _Bar()
    rebuild_report = _make_rebuild(
        context,
        threads=threads,
        correct=correct,
        tell=bar.tell,
        believe_dates=believe_dates,
        processes=processes,
        make_again=partial(_make_again, context, believe_dates),
    ).run()
    bar.end()
    for outcome, count in sorted(rebuild_report.outcomes.items()):
        click.echo(f"{count:>9}  {OUTCOMES[outcome]}")
    wrong = _troubles(report)
    _proposals(rebuild_report)
    if rebuild_report.changed:
        click.echo(f"{rebuild_report.changed} changed, in {rebuild_report.seconds:.0f} s.")
    else:
        click.echo(f"Nothing was changed, in {rebuild_report.seconds:.0f} s.")
    rebuild_queue.finish()
    wrong += _limits(rebuild_report.limits, context)
    wrong += _disputes(
        restore_disputes(context.store(), context.keyring(), context.trust(), utc_now, os.urandom)
    )
    if hold_review.holds_unconfirmed() is not None:
        _holds(MAX_LINES)
        click.echo("Nothing expires until you confirm that these are all: `accord rebuild --confirm-holds`")
    sys.exit(1 if wrong else 0)


def _make_rebuild(context: Context, **options: Any) -> Rebuild:
    from recorder.features.recovery.rebuild import Rebuild

    return Rebuild(
        context.store(), context.keyring(), context.root(), utc_now, revoked=context.revoked(), **options
    )


def _make_again(context: Context, believe_dates: bool) -> Rebuild:
    """The same rebuild in a process that only reads."""
    logs.configure(sys.stderr)
    context.open_catalogue()
    return _make_rebuild(context, believe_dates=believe_dates)


def _proposals(report: RebuildReport) -> None:
    """Print what signed statements demand: what was done, and what is proposed."""
    names = {each.id: f"{each.name} ({each.id})" for each in tenant_queries.all_tenants()}
    for tenant, lines in report.withheld.items():
        click.echo(f"{names[tenant]} is leaving, by a signed statement: {lines} lines were ended.")
    for leaver in report.leavers:
        tenant = leaver.tenant
        click.echo(f"{names[tenant]} was erased, by a signed statement. Nothing of it was destroyed now:")
        click.echo(f"  this catalogue has {queries.summarise(tenant)}.")
        click.echo(f"  To erase it again: `accord offboarding erase-again {tenant}`")
    for tenant, calls in report.calls.items():
        click.echo(f"{names[tenant]}: {calls} calls without a recording were erased at a person's request.")
        click.echo("  Nothing of them was erased now.")
        click.echo(f"  To erase them again: `accord subject-request erase-again --tenant {tenant}`")


def _troubles(report: Path | None) -> int:
    """Print each fault on a line; return their number."""
    count = 0
    with open_output(report) as out:
        for count, each in enumerate(rebuild_queue.problems(), 1):
            line = f"{each.code}  {each.place}: {each.message}"
            if count <= MAX_LINES:
                click.echo(f"  {line}")
            if out is not None:
                out.write(f"{line}\n")
    if count > MAX_LINES and report is None:
        click.echo(f"  … and {count - MAX_LINES} more: `accord rebuild --report FILE` lists all of them")
    return count


def _limits(found: LimitRecovery, context: Context) -> int:
    """Print the retention limits that were restored and those that were skipped; return the number
    skipped."""
    for place, code, message in found.left_out:
        click.echo(f"  {code}  {place}: {message}")
    if found.count:
        click.echo(f"{found.count} statements of retention limits restored; in force now:")
        for tenant, each in sorted(limits.limits_by_tenant(context.trust()).items()):
            for limit in each:
                if limit.until is None:
                    also = ", agreements too" if limit.covers_consents else ""
                    click.echo(
                        f"  {tenant}  at most {limit.keep_days} days  {limit.purpose or 'any purpose'}"
                        f"  {limit.line or 'any line'}{also}, since {to_iso(limit.since)}"
                    )
    return len(found.left_out)


def _disputes(found: DisputeRecovery) -> int:
    """Print how many disputes were restored, and those that were left out; return the number left out."""
    for place, code, message in found.left_out:
        click.echo(f"  {code}  {place}: {message}")
    if found.count:
        click.echo(f"{found.count} differences restored.")
    return len(found.left_out)


def _holds(most: int | None = None) -> None:
    found = amendments.holds()
    click.echo(f"{len(found)} legal holds are set{':' if found else '.'}")
    for each in found[:most]:
        click.echo(
            f"  {each.tenant}  {each.recording}  since {to_iso(each.since)}, review by"
            f" {to_iso(each.review_at)}  {', '.join(each.purposes)}: {each.reason}"
        )
    if most is not None and len(found) > most:
        click.echo(f"  … and {len(found) - most} more: `accord rebuild --holds`")


class _Bar:
    """Progress: a bar on a terminal, otherwise a line from time to time."""

    def __init__(self) -> None:
        self._phase = ""
        self._start = 0.0
        self._from = 0
        self._last_count = 0
        self._is_terminal = sys.stderr.isatty()

    def tell(self, phase: str, count: int, total: int | None) -> None:
        """Show ``count`` of ``total`` (``None``: not known yet) in a phase."""
        if phase != self._phase:
            self.end()
            self._phase, self._start, self._from, self._last_count = phase, time.monotonic(), 0, 0
            if total is not None:
                self._from = count  # the rate counts this run only
        rate = (count - self._from) / max(time.monotonic() - self._start, 0.001)
        left = "" if total is None or not rate else f", {_span((total - count) / rate)} left"
        of = "" if total is None else f" of {total}"
        text = f"{PHASES[phase]} {count}{of}, {rate:.0f}/s{left}"
        if self._is_terminal:
            share = "" if not total else f"[{'#' * (30 * count // total):<30}] "
            click.echo(f"\r{share}{text:<60}", nl=False, err=True)
        elif count - self._last_count >= EVERY or count == total:
            self._last_count = count
            click.echo(text, err=True)

    def end(self) -> None:
        if self._is_terminal and self._phase:
            click.echo(err=True)


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
