"""How long a customer keeps recordings, at most as announced: shorter for all that are there too, longer
again for new ones.  A page says beforehand what a change would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from recorder.catalogue import queries
from recorder.catalogue.country_check import pack_of
from recorder.errors import KeepingError
from recorder.lifecycle import limits, preview
from recorder.lifecycle.limits import LimitRow
from recorder.lifecycle.retention_limits import Wish, set_limit
from recorder.seal.usage_terms import RetentionLimit, is_required_by_law
from web.account.limits import limit_grants, limit_refusals
from web.errors import page
from web.retention.page_helpers import blueprint, for_admins, me
from web.state import changes, here, logged_in, now, someone
from web.text import errors


@dataclass(frozen=True, slots=True)
class PurposeLimit:
    """A purpose: the shortest and longest time (days) that is announced for it or agreed to in a call, and
    what the customer set for it; ``fixed``: a law asks that it be kept."""

    code: str
    least: int
    most: int
    limit: LimitRow | None
    fixed: bool


@dataclass(frozen=True, slots=True)
class LimitRequest:
    """What is to be set, in place of the limit ``before``."""

    wish: Wish
    before: LimitRow | None


@blueprint.get("/settings/keeping")
@logged_in
@limit_refusals
@for_admins
def times() -> ResponseReturnValue:
    if here().changes is None:
        return page(503, errors.error("retention.no_key"))
    found = _kept()
    shown = {each.limit.id for each in found if each.limit is not None}
    return render_template(
        "retention/times.html",
        kept=found,
        open=[each for each in found if not each.fixed],
        others=[
            each for each in limits.in_force(someone().tenant.id, changes().trust) if each.id not in shown
        ],
        numbers=_numbers(),
    )


@blueprint.get("/settings/keeping/change")
@logged_in
@limit_refusals
@for_admins
def ask_times() -> ResponseReturnValue:
    return _preview(_asked(request.args), request.args)


@blueprint.post("/settings/keeping/change")
@logged_in
@limit_grants
@for_admins
def change_times() -> ResponseReturnValue:
    asked = _asked(request.form)
    if asked.wish.covers_consents and not request.form.get("sure"):
        return _preview(asked, request.form)  # agreements end only where that was confirmed by itself
    set_limit(changes(), someone().tenant.id, asked.wish, me())
    return redirect(url_for("retention.times"), 303)


def _preview(asked: LimitRequest, form: Mapping[str, str]) -> str:
    """What would follow; nothing is changed."""
    wish, at, seen = asked.wish, now(), None
    if wish.keep_days is not None:
        limit = RetentionLimit(
            wish.keep_days, wish.purpose, wish.line, at, covers_consents=wish.covers_consents
        )
        seen = preview.foresee(someone().tenant.id, limit, at, changes().trust)
    return render_template(
        "retention/times_sure.html",
        wish=wish,
        before=asked.before,
        seen=seen,
        ends=[] if seen is None else _months(seen.ends, at.date()),
        form=form,
        numbers=_numbers(),
    )


def _kept() -> list[PurposeLimit]:
    """Every purpose that the customer's numbers are announced for."""
    tenant = someone().tenant.id
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


def _asked(form: Mapping[str, str]) -> LimitRequest:
    """What somebody asks for.  Raises :class:`KeepingError`: ``retention.no_limit``, ``retention.purpose``,
    ``retention.by_law``, ``retention.days``, ``retention.too_long``."""
    tenant = someone().tenant.id
    set_before = limits.in_force(tenant, changes().trust)
    if "limit" in form:
        found = next((each for each in set_before if each.id == form["limit"]), None)
        if found is None:
            raise KeepingError("retention.no_limit", "that is not set any more")
        return LimitRequest(Wish(found.limit.purpose, found.limit.line, None), found)
    code, text = form.get("purpose", ""), form.get("days", "")
    kept = next((each for each in _kept() if each.code == code), None)
    if kept is None:
        raise KeepingError("retention.purpose", f"no number is announced for {code!r}")
    if kept.fixed:
        raise KeepingError("retention.by_law", "a law asks that it be kept for that")
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) > 0):
        raise KeepingError("retention.days", "a recording is kept a day or more")
    for objection in pack_of(tenant).objections([code], keep_days=int(text)):
        raise KeepingError("retention.too_long", objection.message, objection.hint)
    return LimitRequest(Wish(code, None, int(text), bool(form.get("agreed"))), kept.limit)


def _months(ends: Mapping[date, int], today: date) -> list[tuple[date | None, int]]:
    """How many end when: today (``None``), and in each month after that by its first day."""
    counted: Counter[date | None] = Counter()
    for day, count in ends.items():
        counted[None if day <= today else day.replace(day=1)] += count
    return list(counted.items())


def _numbers() -> dict[str, str]:
    """The customer's numbers by their lines' ids."""
    return {line.id: line.number for line in queries.lines(someone().tenant.id, ended=True)}
