"""The page of the call list, with its search, and the filters that people save."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    redirect,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.wrappers import Response as Redirect

from recorder.catalogue import queries
from recorder.catalogue.records import Cursor, LineRow
from recorder.domain import time_zones
from recorder.features.call_list import saved_filters, service
from recorder.features.call_list.rules import CallQuery
from recorder.features.call_list.service import CallEntry
from recorder.features.live.queries import LiveRow, ended_calls
from recorder.features.notes import service as note_service
from recorder.features.own_call.codes import find_of_guest
from recorder.identity import users
from recorder.lifecycle import amendments
from recorder.lifecycle.plans import EXPORT
from recorder.spool.layout import REASONS
from web.account.limits import limit_archives, limit_exports, limit_grants, limit_refusals
from web.call_list import archive, csv_export, filters, rates, selection
from web.call_list import labels as sentences
from web.call_list.filters import CallFilter
from web.call_list.selection import Selection
from web.contacts.names import load_colleagues, load_names
from web.decorators import in_plan
from web.first_day.checklist import start_page
from web.gate import gate, who
from web.state import current_visitor, login_required, now, page_faults, panel_state, release_connection
from web.text.sentences import sentence

MAX_REVIEWS = 10
"""Holds due for review that are shown above the list."""

MOST_ENDED = 10
"""Calls above the list that are being stored; of others the page says how many they are."""

MOST_SHOWN = 200
"""Calls of a page, for the count of new ones."""

blueprint = Blueprint("call_list", __name__, template_folder="templates")


@blueprint.get("/")
@login_required
def home() -> Redirect:
    if current_visitor().is_guest:
        user = current_visitor().user
        is_own = find_of_guest(user.tenant, user.id) is not None
        return redirect(url_for("own_call.show_call" if is_own else "disputes.welcome"))
    return redirect(start_page())


@blueprint.get("/recordings")
@login_required
def list_calls() -> str:
    """The list; with ``select``, recordings can be chosen, all of the page with ``select=all``."""
    mode, choice = request.args.get("select", ""), None
    if mode and selection.may_select():
        choice = Selection(everything=mode == "all")
    return _show(filters.parse_filter(request.args), choice)


@blueprint.get("/recordings/new")
@login_required
def count_new_calls() -> ResponseReturnValue:
    """How many calls came since a first page was made, as the link that shows them, and those that are being
    stored; nothing if there is neither."""
    call_filter = filters.parse_filter(request.args)
    try:
        oldest = Cursor.decode(request.args["oldest"]) if request.args.get("oldest") else None
        count = min(MOST_SHOWN, max(0, int(request.args.get("shown", "0"))))
    except ValueError:
        return "", 204
    number = service.count_new(_query(call_filter), oldest, count)
    ended = _ended(call_filter)
    if not number and not ended:
        return "", 204
    return render_template(
        "call_list/new.html",
        number=number,
        most=service.MANY_NEW,
        call_filter=call_filter,
        ended=ended,
        most_ended=MOST_ENDED,
        lines=_lines() if ended else {},
    )


@blueprint.post("/recordings.csv")
@login_required
@in_plan(EXPORT)
@limit_exports
def download_csv() -> Response:
    """All calls that fit the filter, as CSV, written while they are read."""
    visitor, at = current_visitor(), now()
    zone = time_zones.display_zone(visitor.tenant.time_zone)
    query, lines, faults = _query(filters.parse_filter(request.form)), _lines(), page_faults()
    service.note_download(visitor.tenant.id, visitor.user.id, at, panel_state().entropy)
    release_connection()
    name = f"calls-{at.astimezone(zone):%Y-%m-%d}.csv"
    return Response(
        stream_with_context(csv_export.stream(query, lines, zone, faults)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


@blueprint.get("/recordings/rates")
@login_required
def show_rates() -> str:
    """How many calls were announced, asked about and agreed on, by number and over time."""
    tenant, scope, lines = current_visitor().tenant, current_visitor().scope, _lines()
    zone = time_zones.display_zone(tenant.time_zone)
    line = request.args.get("line", "") if request.args.get("line", "") in lines else ""
    step = request.args.get("step", "") if request.args.get("step") in rates.STEPS else rates.WEEK
    some = frozenset({line}) if line else scope
    table = rates.table(tenant.id, now().astimezone(zone).date(), zone, step, some)
    names = {each.id: sentences.line_name(each) for each in lines.values()}
    numbers = [(names.get(each, str(_("Unknown line"))), found) for each, found in table.lines.items()]
    reasons = sorted(table.whole.reasons.items(), key=lambda each: (-each[1], each[0]))
    return render_template(
        "call_list/rates.html",
        table=table,
        columns=rates.columns(),
        numbers=sorted(numbers, key=lambda each: each[0].casefold()),
        reasons=reasons,
        lines=[("", str(_("All lines"))), *sorted(names.items(), key=lambda each: each[1].casefold())],
        line=line,
        step=step,
    )


@blueprint.post("/recordings/selection")
@login_required
@limit_refusals
@limit_grants
def change_selection() -> ResponseReturnValue:
    """Do something with the chosen recordings: the list again, or what was not possible."""
    if not selection.may_select():
        abort(403)
    if request.form.get("action") == selection.DOWNLOAD:
        return _download_selection()
    call_filter, result = filters.parse_filter(request.form), selection.apply()
    if result.errors or result.refusals:
        return _show(call_filter, result), 422 if result.errors else 200
    flash(result.outcome)
    return _list(call_filter)


@limit_archives
def _download_selection() -> ResponseReturnValue:
    """The chosen recordings as one file; the list again if none can be had."""
    call_filter, ids, result = filters.parse_filter(request.form), *selection.find_downloads()
    if not ids:
        return _show(call_filter, result), 422 if result.errors else 200
    name = f"recordings-{now():%Y-%m-%d}.zip"
    door, actor, purpose = gate(), who(), request.form.get("purpose", "")[:100]
    release_connection()
    pieces = archive.stream(
        ids, partial(archive.open_any, lambda each, form: door.download(actor, each, purpose, form))
    )
    return Response(
        stream_with_context(pieces),
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


@blueprint.post("/recordings/filters")
@login_required
def save_filter() -> ResponseReturnValue:
    """Save the list's filter under a name, for this user alone."""
    call_filter = filters.parse_filter(request.form)
    name = request.form.get("name", "")
    user = current_visitor().user
    result = saved_filters.save_filter(
        user.tenant, user.id, name, call_filter.to_save(), now=now(), entropy=panel_state().entropy
    )
    if result != saved_filters.SAVED:
        return _show(call_filter, name=name, name_error=sentence("filter_not_saved", result)), 422
    flash(_("Filter saved: %(name)s.", name=" ".join(name.split())))
    return _list(call_filter)


@blueprint.post("/recordings/filters/<filter_id>/delete")
@login_required
def delete_filter(filter_id: str) -> ResponseReturnValue:
    user = current_visitor().user
    if not saved_filters.drop_filter(user.tenant, user.id, filter_id):
        abort(404)
    return _list(filters.parse_filter(request.form))


def _list(call_filter: CallFilter) -> Redirect:
    arguments: dict[str, Any] = {**call_filter.page_address()}
    return redirect(url_for(".list_calls", **arguments), 303)


def _show(
    call_filter: CallFilter, choice: Selection | None = None, *, name: str = "", name_error: str = ""
) -> str:
    visitor = current_visitor()
    tenant = visitor.tenant
    page = service.list_calls(
        _query(call_filter),
        after=call_filter.after,
        before=call_filter.before,
        limit=panel_state().config.page,
        faults=page_faults(),
    )
    load_names(each.row.external_party for each in page.calls)
    load_colleagues(party for each in page.calls if each.recording for party in each.recording.our_side)
    admin = visitor.admin
    holds = amendments.readable_holds(page_faults(), tenant.id) if admin else ()
    due_holds = sorted((each for each in holds if each.review_at <= now()), key=lambda each: each.since)
    scope, lines = current_visitor().scope, _lines()
    reasons = service.reasons(tenant.id) if scope is None else tuple(REASONS)
    saved = saved_filters.saved_filters(tenant.id, visitor.user.id)
    return render_template(
        "call_list/list.html",
        call_filter=call_filter,
        page=page,
        days=_group_by_day(page.calls, time_zones.display_zone(tenant.time_zone)),
        is_first=page.newer is None,
        had_calls=not page.calls and queries.has_recordings(tenant.id),
        ended=_ended(call_filter) if page.newer is None else (),
        most_ended=MOST_ENDED,
        lines=lines,
        chips=sentences.chips(call_filter, lines),
        options=sentences.options(lines.values(), reasons, note_service.labels_in_use(tenant.id, scope)),
        count=sentences.count(page.count),
        saved=[(each, each.arguments == call_filter.to_save()) for each in saved],
        selection=choice,
        may_select=selection.may_select(),
        signs=panel_state().changes is not None,
        name=name,
        name_error=name_error,
        due_holds=due_holds[:MAX_REVIEWS],
        people=_handlers(page.calls),
        leaving=admin and gate().leaver(who()) is not None,
    )


def _query(call_filter: CallFilter) -> CallQuery:
    visitor = current_visitor()
    tenant, zone = visitor.tenant, time_zones.display_zone(visitor.tenant.time_zone)
    return call_filter.query(tenant.id, zone, now(), visitor.scope, visitor.user.id)


def _lines() -> dict[str, LineRow]:
    """The lines whose calls the visitor sees, by id."""
    scope = current_visitor().scope
    rows = queries.lines(current_visitor().tenant.id, ended=True, faults=page_faults())
    return {line.id: line for line in rows if scope is None or line.id in scope}


def _ended(call_filter: CallFilter) -> tuple[LiveRow, ...]:
    """The calls that have ended and are being stored; none under a filter, which knows only what is
    stored."""
    return (
        ()
        if call_filter.is_active
        else ended_calls(current_visitor().tenant.id, now(), current_visitor().scope)
    )


def _handlers(entries: tuple[CallEntry, ...]) -> dict[str, str]:
    """The names of those who handle what these calls are kept for, by id."""
    if not any(each.handlers for each in entries):
        return {}
    return {each.id: each.name for each in users.users(current_visitor().tenant.id)}


def _group_by_day(entries: tuple[CallEntry, ...], zone: ZoneInfo) -> list[tuple[datetime, list[CallEntry]]]:
    """The calls by day in the customer's time zone; each day is given by the start of its first call."""
    days: list[tuple[datetime, list[CallEntry]]] = []
    for call in entries:
        local = call.started_at.astimezone(zone)
        if not days or days[-1][0].astimezone(zone).date() != local.date():
            days.append((call.started_at, []))
        days[-1][1].append(call)
    return days
