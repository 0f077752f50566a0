"""``accord rebuild``: restore recordings, amendments and tombstones from the bucket alone."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recorder.catalogue import tenant_queries
from recorder.cli import logs
from recorder.cli.confirmation import confirm, confirmation_options, is_dry_run
from recorder.cli.holds import hold_record
from recorder.cli.output import Record, is_json, json_option, print_json, print_result
from recorder.cli.output_files import check_output, open_output
from recorder.cli.progress import ProgressLine
from recorder.cli.terminal import printable
from recorder.clock import to_iso, utc_now
from recorder.features.offboarding import queries
from recorder.features.recovery import rebuild_queue, recording_rows
from recorder.lifecycle import amendments, hold_review
from recorder.processes.services import Context

if TYPE_CHECKING:
    from recorder.features.disputes.copies import DisputeRecovery
    from recorder.features.recovery.rebuild import Rebuild, RebuildReport

MAX_LINES = 50
"""Problems and holds that are printed; ``--report`` and ``--holds`` have all."""

PHASES = {"list": "listing", "read": "recordings", "keys": "keys", "rows": "rows"}
OUTCOMES = {
    recording_rows.MADE: "restored",
    recording_rows.COMPLETED: "completed",
    recording_rows.CORRECTED: "corrected by the seal",
    recording_rows.ERASED: "erased since, and now listed so",
    recording_rows.UNCHANGED: "unchanged",
    recording_rows.DIFFERS: "rows that differ from the seal, left unchanged",
    recording_rows.SKIPPED: "skipped: the objects differ from the seal",
    rebuild_queue.UNPLACED: "folders without objects of Accord",
    rebuild_queue.KEY_ALONE: "keys without a recording",
    rebuild_queue.ROW_ALONE: "rows without anything in the bucket",
    rebuild_queue.STATEMENT: "statements that were not applied",
}


@click.command()
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="Concurrent reads of each process.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=lambda: len(os.sched_getaffinity(0)),
    show_default="one per core",
    help="Processes that read and verify.",
)
@click.option("--correct", is_flag=True, help="Overwrite rows that differ from the seal; asks first.")
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Write all problems to a file."
)
@click.option("--holds", is_flag=True, help="Only list the legal holds.")
@click.option(
    "--believe-dates",
    is_flag=True,
    help="Trust what a revoked key dated before its revocation, though nothing proves the date.",
)
@click.option(
    "--confirm-holds",
    is_flag=True,
    help="State that the holds are complete: recordings expire again; asks first.",
)
@json_option
@confirmation_options
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
    """Rebuild the catalogue's recordings from the bucket.

    On an intact catalogue it changes nothing;
    interrupted, it continues where it was. Afterwards nothing expires until the holds are confirmed."""
    if is_dry_run() and not (correct or confirm_holds):
        raise click.UsageError("--dry-run shows the consequences of --correct or --confirm-holds")
    context.open_catalogue()
    if holds or confirm_holds:
        _review_holds(context, confirm_holds)
        return
    from recorder.features.disputes.copies import restore_disputes

    check_output(report)
    if correct:
        confirm(
            "Correct the rows?",
            {"corrects": True},
            "Rows of recordings that differ from the seal are overwritten; the changed values are lost.",
        )
    with ProgressLine() as progress:
        report_of_rebuild = _make_rebuild(
            context,
            threads=threads,
            correct=correct,
            tell=lambda phase, count, total: progress.tell(PHASES[phase], count, total),
            believe_dates=believe_dates,
            processes=processes,
            make_again=partial(_make_again, context, believe_dates),
        ).run()
    problems = _write_problems(report)
    rebuild_queue.finish()
    disputes = restore_disputes(context.store(), context.keyring(), context.trust(), utc_now, os.urandom)
    is_unconfirmed = hold_review.holds_unconfirmed() is not None
    record = _report_record(report_of_rebuild, problems, disputes, is_unconfirmed)
    if is_json():
        print_json(record)
    else:
        _print_report(record, report)
        if is_unconfirmed:
            _print_holds(MAX_LINES)
            click.echo(
                "Nothing expires until you confirm that these are all: `accord rebuild --confirm-holds`"
            )
    sys.exit(1 if record["problem_count"] else 0)


def _review_holds(context: Context, confirm_holds: bool) -> None:
    """List the legal holds, and, if asked, state that they are complete."""
    found = amendments.holds()
    record: dict[str, Any] = {"holds": [hold_record(each, utc_now()) for each in found]}
    if not confirm_holds:
        if is_json():
            print_json(record)
        else:
            _print_holds()
        return
    confirm("Are these all the legal holds?", record, *_hold_sentences(None))
    is_confirmed = hold_review.confirm_holds(context.signer(), context.trust(), utc_now(), os.urandom)
    print_result(
        {**record, "confirmed": is_confirmed},
        "Confirmed: recordings expire again." if is_confirmed else "Nothing to confirm: recordings expire.",
    )


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


def _write_problems(report: Path | None) -> tuple[list[Record], int]:
    """The first problems, and the number of all, which are written to the ``report``."""
    first: list[Record] = []
    count = 0
    with open_output(report) as out:
        for count, each in enumerate(rebuild_queue.problems(), 1):
            if count <= MAX_LINES:
                first.append({"code": each.code, "place": each.place, "message": each.message})
            if out is not None:
                out.write(f"{each.code}  {each.place}: {each.message}\n")
    return first, count


def _report_record(
    report: RebuildReport,
    problems: tuple[list[Record], int],
    disputes: DisputeRecovery,
    is_unconfirmed: bool,
) -> Record:
    first, count = problems
    more = [
        {"code": code, "place": place, "message": message}
        for place, code, message in (*report.limits.left_out, *disputes.left_out)
    ]
    return {
        "outcomes": dict(sorted(report.outcomes.items())),
        "changed": report.changed,
        "seconds": round(report.seconds, 1),
        "resumed": report.resumed,
        "problem_count": count + len(more),
        "problems": [*first, *more],
        "lines_ended": [{"tenant": tenant, "lines": lines} for tenant, lines in report.withheld.items()],
        "erasures_to_repeat": [
            {"tenant": leaver.tenant, "erases": queries.summarise(leaver.tenant)} for leaver in report.leavers
        ],
        "calls_to_erase_again": [
            {"tenant": tenant, "calls": calls} for tenant, calls in report.calls.items()
        ],
        "retention_limits_restored": report.limits.count,
        "disputes_restored": disputes.count,
        "holds_unconfirmed": is_unconfirmed,
    }


def _print_report(record: Record, report: Path | None) -> None:
    for outcome, count in record["outcomes"].items():
        click.echo(f"{count:>9}  {OUTCOMES[outcome]}")
    for each in record["problems"]:
        click.echo(printable(f"  {each['code']}  {each['place']}: {each['message']}"))
    left = record["problem_count"] - len(record["problems"])
    if left and report is None:
        click.echo(f"  … and {left} more: `accord rebuild --report FILE` lists all of them")
    _print_proposals(record)
    changed = f"{record['changed']} changed" if record["changed"] else "Nothing was changed"
    click.echo(f"{changed}, in {record['seconds']:.0f} s.")
    if record["retention_limits_restored"]:
        click.echo(
            f"{record['retention_limits_restored']} statements of retention limits restored: "
            "`accord retention show`"
        )
    if record["disputes_restored"]:
        click.echo(f"{record['disputes_restored']} open questions restored.")


def _print_proposals(record: Record) -> None:
    """Print the demands of signed statements: lines that were ended, and erasures that are only proposed."""
    names = {each.id: f"{each.name} ({each.id})" for each in tenant_queries.all_tenants()}
    for each in record["lines_ended"]:
        click.echo(
            f"{names[each['tenant']]} is leaving, by a signed statement: {each['lines']} lines were ended."
        )
    for each in record["erasures_to_repeat"]:
        tenant = each["tenant"]
        click.echo(f"{names[tenant]} was erased, by a signed statement. Nothing of it was destroyed now:")
        click.echo(f"  this catalogue has {each['erases']}.")
        click.echo(f"  To erase it again: `accord offboarding erase-again {tenant}`")
    for each in record["calls_to_erase_again"]:
        tenant = each["tenant"]
        click.echo(
            f"{names[tenant]}: {each['calls']} calls without a recording were erased at a person's request."
        )
        click.echo("  Nothing of them was erased now.")
        click.echo(f"  To erase them again: `accord subject-request erase-again --tenant {tenant}`")


def _print_holds(most: int | None = None) -> None:
    for sentence in _hold_sentences(most):
        click.echo(printable(sentence))


def _hold_sentences(most: int | None) -> list[str]:
    found = amendments.holds()
    sentences = [f"{len(found)} legal holds are set{':' if found else '.'}"]
    sentences += [
        f"  {each.tenant}  {each.recording}  since {to_iso(each.since)}, review by"
        f" {to_iso(each.review_at)}  {', '.join(each.purposes)}: {each.reason}"
        for each in found[:most]
    ]
    if most is not None and len(found) > most:
        sentences.append(f"  … and {len(found) - most} more: `accord rebuild --holds`")
    return sentences
