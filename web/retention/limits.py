"""Retention limits of a customer, at most as long as announced.  A shorter limit also applies to existing
recordings, lifting one only to new ones.  A preview shows the effect of a change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from recorder.catalogue import queries
from recorder.catalogue.country_check import pack_of
from recorder.errors import RetentionError
from recorder.lifecycle import limits, preview
from recorder.lifecycle.limits import LimitRow
from recorder.lifecycle.retention_limits import NewLimit, set_limit
from recorder.seal.usage_terms import RetentionLimit, is_required_by_law
from web.account.limits import limit_grants, limit_refusals
from web.errors import error_page
from web.retention.page_helpers import author, blueprint, for_admins
from web.state import changes, current_visitor, login_required, now, panel_state
from web.text import errors


@dataclass(frozen=True, slots=True)
class PurposeLimit:
    """A purpose with its limit.  ``least`` and ``most`` are the shortest and longest retention, in days, that
    the customer's numbers announce or ask for; ``fixed`` means that a law requires the retention."""

    code: str
    least: int
    most: int
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
    found = _purpose_limits()
    shown = {each.limit.id for each in found if each.limit is not None}
    return render_template(
        "retention/limits.html",
        kept=found,
        open=[each for each in found if not each.fixed],
        others=[
            each
            for each in limits.in_force(current_visitor().tenant.id, changes().trust)
            if each.id not in shown
        ],
        numbers=_numbers(),
    )


@blueprint.get("/settings/retention/change")
@login_required
@limit_refusals
@for_admins
def preview_limit() -> ResponseReturnValue:
    return _render_preview(_parse_request(request.args), request.args)


@blueprint.post("/settings/retention/change")
@login_required
@limit_grants
@for_admins
def change_limit() -> ResponseReturnValue:
    requested = _parse_request(request.form)
    if requested.wish.covers_consents and not request.form.get("sure"):
        return _render_preview(requested, request.form)  # ending agreements needs a confirmation of its own
    set_limit(changes(), current_visitor().tenant.id, requested.wish, author())
    return redirect(url_for("retention.show_limits"), 303)


def _render_preview(requested: LimitRequest, form: Mapping[str, str]) -> str:
    """The page with the effect of a change; nothing is changed."""
    wish, at, seen = requested.wish, now(), None
    if wish.keep_days is not None:
        limit = RetentionLimit(
            wish.keep_days, wish.purpose, wish.line, at, covers_consents=wish.covers_consents
        )
        seen = preview.preview_limit(current_visitor().tenant.id, limit, at, changes().trust)
    return render_template(
        "retention/limit_preview.html",
        wish=wish,
        before=requested.before,
        seen=seen,
        ends=[] if seen is None else _count_by_month(seen.ends, at.date()),
        form=form,
        numbers=_numbers(),
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
        PurposeLimit(code, min(all_), max(all_), mine.get(code), is_required_by_law(code))
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
            raise RetentionError("retention.no_limit", "this limit is no longer set")
        return LimitRequest(NewLimit(found.limit.purpose, found.limit.line, None), found)
    code, text = form.get("purpose", ""), form.get("days", "")
    kept = next((each for each in _purpose_limits() if each.code == code), None)
    if kept is None:
        raise RetentionError("retention.purpose", f"no number is announced for {code!r}")
    if kept.fixed:
        raise RetentionError("retention.by_law", "a law requires retention for this purpose")
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) > 0):
        raise RetentionError("retention.days", "retention must be at least one day")
    for objection in pack_of(tenant).objections([code], keep_days=int(text)):
        raise RetentionError("retention.too_long", objection.message, objection.hint)
    return LimitRequest(NewLimit(code, None, int(text), bool(form.get("agreed"))), kept.limit)


def _count_by_month(ends: Mapping[date, int], today: date) -> list[tuple[date | None, int]]:
    """Number of recordings that end today (``None``), and in each later month, by its first day."""
    counted: Counter[date | None] = Counter()
    for day, count in ends.items():
        counted[None if day <= today else day.replace(day=1)] += count
    return list(counted.items())


def _numbers() -> dict[str, str]:
    """The customer's numbers by line id."""
    return {line.id: line.number for line in queries.lines(current_visitor().tenant.id, ended=True)}
