"""The pages of the access log: the list, one entry with what is needed to check it, and the list as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import cast
from zoneinfo import ZoneInfo

import structlog
from flask import Blueprint, Response, abort, render_template, request, stream_with_context
from flask.sansio.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from recorder.domain import time_zones
from recorder.domain.roles import ADMIN, AUDITOR
from recorder.errors import AccordError
from recorder.features.access_log import service
from recorder.features.access_log.rules import LogEntry
from recorder.features.access_log.verification import EntryProof
from recorder.lifecycle.plans import EXPORT
from web.access_log import csv_export, filters
from web.account.limits import limit_exports
from web.contacts.names import load_names
from web.decorators import admins_only, in_plan
from web.state import current_visitor, login_required, now, panel_state, release_connection
from web.text import access_log as sentences
from web.text import log_details

READERS = (ADMIN, AUDITOR)

UNSIGNED = "audit_log.unsigned"
"""No checkpoint is over the entry yet; the worker signs one within the hour."""

log = structlog.get_logger()

blueprint = Blueprint("access_log", __name__, template_folder="templates")


@blueprint.record_once
def add_words(state: BlueprintSetupState) -> None:
    """Give templates the log's sentences, beside the others."""
    functions = (sentences.describe, sentences.person, log_details.details)
    words = cast(dict[str, object], state.app.jinja_env.globals["words"])
    words.update({each.__name__: each for each in functions})


for_readers = admins_only(lambda _view_args: "/", READERS)


@blueprint.get("/access-log")
@login_required
@for_readers
def show() -> str:
    """The list, latest first."""
    tenant = current_visitor().tenant
    query, zone = filters.parse_query(request.args), time_zones.display_zone(tenant.time_zone)
    page = service.list_entries(tenant.id, query.to_filter(zone), after=query.after)
    calls = service.calls_of(tenant.id, page.entries)
    load_names(each.party for each in calls.values())
    return render_template(
        "access_log/list.html",
        query=query,
        days=_by_day(page.entries, zone),
        more=page.more.encode() if page.more else None,
        people=service.everybody(tenant.id),
        groups=sentences.groups(),
        calls=calls,
        names=csv_export.log_names(tenant.id),
    )


@blueprint.get("/access-log/<int:number>")
@login_required
@for_readers
def show_entry(number: int) -> str:
    """One entry, with what is needed to check it."""
    tenant = current_visitor().tenant.id
    entry = service.find_entry(tenant, number)
    if entry is None:
        abort(404)
    proof, why = _find_proof(tenant, number)
    return render_template(
        "access_log/entry.html",
        entry=entry,
        call=service.calls_of(tenant, [entry]).get(entry.about_recording or ""),
        names=csv_export.log_names(tenant),
        proof=proof,
        unsigned=why == UNSIGNED,
    )


@blueprint.get("/access-log/<int:number>.json")
@login_required
@for_readers
def download_proof(number: int) -> ResponseReturnValue:
    """The file that ``accord audit verify-proof`` verifies."""
    proof, _why = _find_proof(current_visitor().tenant.id, number)
    if proof is None:
        abort(404)
    name = f"entry-{number}.json"
    return Response(
        proof.file + b"\n",
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


@blueprint.get("/access-log.csv")
@login_required
@for_readers
@in_plan(EXPORT)
@limit_exports
def download_csv() -> ResponseReturnValue:
    """All entries that fit the filter, as CSV, written while they are read."""
    tenant = current_visitor().tenant
    query, zone = filters.parse_query(request.args), time_zones.display_zone(tenant.time_zone)
    release_connection()
    name = f"access-log-{now().astimezone(zone):%Y-%m-%d}.csv"
    return Response(
        stream_with_context(csv_export.stream(tenant.id, query.to_filter(zone), zone)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def _find_proof(tenant: str, number: int) -> tuple[EntryProof | None, str]:
    """What is needed to check an entry; if it cannot be shown now, why: an error id."""
    proofs = panel_state().proofs
    if proofs is None:
        return None, "store.unreachable"
    release_connection()
    try:
        return proofs.build(tenant, number), ""
    except AccordError as error:
        if error.error_id != UNSIGNED:
            log.warning("access_log.unverified", leaf=number, error_id=error.error_id, error=error.message)
        return None, error.error_id


def _by_day(entries: Sequence[LogEntry], zone: ZoneInfo) -> list[tuple[datetime, list[LogEntry]]]:
    """Entries by day in the customer's time zone; each day is given by the time of its first entry."""
    days = groupby(entries, key=lambda each: each.at.astimezone(zone).date())
    return [(found[0].at, found) for found in (list(some) for _day, some in days)]
