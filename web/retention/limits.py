"""Retention limits of a customer, at most as long as announced.  A shorter limit also applies to existing
recordings, except those agreed to be kept longer and those on legal hold; lifting one only to new ones.  A
preview names the recordings and counts them.  An agreement ends with a limit only if its recording was chosen
by name: that is an amendment of the recording, signed like any other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.catalogue import queries
from recorder.catalogue.country_check import pack_of
from recorder.errors import RetentionError
from recorder.features.tenants.setting_sources import limit_source
from recorder.identity import users
from recorder.lifecycle import amendments, limits, preview
from recorder.lifecycle.limits import LimitRow
from recorder.lifecycle.preview import NamedRecordings
from recorder.lifecycle.retention_limits import NewLimit, set_limit
from recorder.seal.usage_terms import RetentionLimit, is_required_by_law
from web.account.limits import limit_grants, limit_refusals
from web.errors import error_page
from web.retention.page_helpers import author, blueprint, for_admins
from web.state import changes, current_visitor, login_required, now, panel_state
from web.text import errors

MAX_NAMES = 20
"""Recordings that a preview names of those that end earlier."""

AGREEMENTS = 100
"""Agreements that a preview offers to end."""


@dataclass(frozen=True, slots=True)
class PurposeLimit:
    """A purpose with its limit.  ``least`` and ``most`` are the shortest and longest retention, in days, that
    the customer's numbers announce or ask for; ``allowed`` is the longest that the country allows; ``fixed``
    means that a law requires the retention."""

    code: str
    least: int
    most: int
    allowed: int
    limit: LimitRow | None
    fixed: bool


@dataclass(frozen=True, slots=True)
class LimitRequest:
    """The limit to set, and the one that it replaces (``before``)."""

    wish: NewLimit
    before: LimitRow | None


@blueprint.get("/settings/retention")
@login_required
@limit_refusals
@for_admins
def show_limits() -> ResponseReturnValue:
    if panel_state().changes is None:
        return error_page(503, errors.error("retention.no_key"))
    return _render_limits({}, {})


@blueprint.get("/settings/retention/change")
@login_required
@limit_refusals
@for_admins
def preview_limit() -> ResponseReturnValue:
    try:
        requested = _parse_request(request.args)
    except RetentionError as error:
        return _refuse(error)
    return _render_preview(requested, request.args)


@blueprint.post("/settings/retention/change")
@login_required
@limit_grants
@for_admins
def change_limit() -> ResponseReturnValue:
    form, tenant = request.form, current_visitor().tenant.id
    try:
        requested = _parse_request(form)
    except RetentionError as error:
        return _refuse(error)
    wish, to_end = requested.wish, frozenset(form.getlist("end"))
    names = _name_recordings(wish)
    ends = [each for each in names.agreed if each.row.id in to_end and not each.on_hold]
    confirmed = form.get("sure") and form.get("confirmed", "0") == str(len(ends))
    if (ends or names.ends) and not confirmed:
        to_end = frozenset(each.row.id for each in ends)
        return _render_preview(requested, form, to_end, wrong=_("Check what ends, then tick the box."))
    set_limit(changes(), tenant, wish, author())
    for each in ends:
        changes().narrow(
            changes().look(tenant, each.row.id), author(), purposes=[wish.purpose or ""],
            reason=_("Ended individually with the new retention of %(days)s days.", days=wish.keep_days),
        )  # fmt: skip
    flash(_("Saved."))
    return redirect(url_for("retention.show_limits"), 303)


def _refuse(error: RetentionError) -> ResponseReturnValue:
    """The form again, with what was typed and the error beside its field."""
    field = errors.field(error.error_id, ("days", "purpose"))
    if field is None:
        raise error
    return _render_limits(request.values, {field: errors.error(error.error_id)}), 422


def _render_limits(form: Mapping[str, str], wrong: Mapping[str, str]) -> str:
    tenant, found = current_visitor().tenant.id, _purpose_limits()
    ids = {each.limit.id for each in found if each.limit is not None}
    return render_template(
        "retention/limits.html",
        kept=found,
        open=[each for each in found if not each.fixed],
        others=[each for each in limits.in_force(tenant, changes().trust) if each.id not in ids],
        numbers=_numbers(),
        limit_source=limit_source,
        people={each.id: each.name for each in users.users(tenant)},
        holds=len(amendments.holds(tenant)),
        form=form,
        wrong=wrong,
    )


def _render_preview(
    requested: LimitRequest, form: Mapping[str, str], to_end: frozenset[str] = frozenset(), wrong: str = ""
) -> str:
    """The page with the effect of a change; nothing is changed."""
    wish, at, forecast = requested.wish, now(), None
    if wish.keep_days is not None:
        limit = RetentionLimit(wish.keep_days, wish.purpose, wish.line, at)
        forecast = preview.preview_limit(current_visitor().tenant.id, limit, at, changes().trust)
    return render_template(
        "retention/limit_preview.html",
        wish=wish,
        before=requested.before,
        seen=forecast,
        names=_name_recordings(wish),
        ending=to_end,
        ends=[] if forecast is None else _count_by_month(forecast.ends, at.date()),
        form=form,
        wrong=wrong,
        numbers=_numbers(),
    )


def _name_recordings(wish: NewLimit) -> NamedRecordings:
    """What a change concerns, by name."""
    if wish.keep_days is None:
        return NamedRecordings()
    limit = RetentionLimit(wish.keep_days, wish.purpose, wish.line, now())
    return preview.name_recordings(
        current_visitor().tenant.id, limit, now(), changes().trust, ends=MAX_NAMES, agreed=AGREEMENTS
    )


def _purpose_limits() -> list[PurposeLimit]:
    """Every purpose that the customer's numbers announce or ask for."""
    tenant = current_visitor().tenant.id
    announced = {row.id: row for row in queries.announcements(tenant)}
    days: dict[str, list[int]] = {}
    for line in queries.lines(tenant):
        for each in line.announcements:
            for code in announced[each].purposes:
                days.setdefault(code, []).append(announced[each].keep_days)
        if line.keep:
            days.setdefault(line.keep.purpose, []).append(line.keep.keep_days)
    mine = {
        each.limit.purpose: each
        for each in limits.in_force(tenant, changes().trust)
        if each.limit.line is None
    }
    return [
        PurposeLimit(
            code,
            min(all_),
            max(all_),
            pack_of(tenant).rule(code).longest_keep_days,
            mine.get(code),
            is_required_by_law(code),
        )
        for code, all_ in days.items()
    ]


def _parse_request(form: Mapping[str, str]) -> LimitRequest:
    """Parse the form of a limit.  Raises :class:`RetentionError`: ``retention.no_limit``,
    ``retention.purpose``, ``retention.by_law``, ``retention.days``, ``retention.too_long``."""
    tenant = current_visitor().tenant.id
    set_before = limits.in_force(tenant, changes().trust)
    if "limit" in form:
        found = next((each for each in set_before if each.id == form["limit"]), None)
        if found is None:
            raise RetentionError(
                "retention.no_limit",
                "this limit is no longer set",
                "reload the page: another user has removed it",
            )
        return LimitRequest(NewLimit(found.limit.purpose, found.limit.line, None), found)
    code, text = form.get("purpose", ""), form.get("days", "")
    purpose_limit = next((each for each in _purpose_limits() if each.code == code), None)
    if purpose_limit is None:
        raise RetentionError(
            "retention.purpose",
            f"no number is announced for {code!r}",
            "choose one of the purposes and numbers shown",
        )
    if purpose_limit.fixed:
        raise RetentionError(
            "retention.by_law", "a law requires retention for this purpose", "choose another purpose"
        )
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) > 0):
        raise RetentionError("retention.days", "retention must be at least one day", "enter at least one day")
    for objection in pack_of(tenant).objections([code], keep_days=int(text)):
        raise RetentionError("retention.too_long", objection.message, objection.hint)
    return LimitRequest(NewLimit(code, None, int(text)), purpose_limit.limit)


def _count_by_month(ends: Mapping[date, int], today: date) -> list[tuple[date | None, int]]:
    """Number of recordings that end today (``None``), and in each later month, by its first day."""
    counted: Counter[date | None] = Counter()
    for day, count in ends.items():
        counted[None if day <= today else day.replace(day=1)] += count
    return list(counted.items())


def _numbers() -> dict[str, str]:
    """The customer's numbers by line id."""
    return {line.id: line.number for line in queries.lines(current_visitor().tenant.id, ended=True)}
