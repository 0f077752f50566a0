"""Changes of what several of a customer's numbers announce: the form, what would become of each, and doing
so; and the withdrawal of what was proposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from recorder.catalogue import queries
from recorder.catalogue.records import LineRow, TenantRow
from recorder.domain.call_plan import MODES
from recorder.features.tenants import setup
from recorder.features.tenants.drafts import LineSettings
from recorder.features.tenants.line_change import LineChange
from recorder.features.tenants.line_proposals import (
    OUTCOMES,
    ChangeOutcome,
    OutcomeCode,
    change_or_propose,
    drop_proposals,
)
from recorder.prompts.purposes import LANGUAGES, standard
from web.provider.customer_views import find_customer
from web.provider.views import blueprint, for_operators
from web.state import current_visitor, login_required, now, panel_state
from web.text.labels import purpose
from web.text.numbers import language_name
from web.text.proposals import SettingChange, setting_changes
from web.text.provider import change_counts
from web.text.sentences import sentence

log = structlog.get_logger()

ALL = "all"
"""In place of the ids of all numbers."""


@dataclass(frozen=True, slots=True)
class BulkForm:
    """What was entered: numbers (ids of lines), and what is to change; empty where it stays as it is.
    Of the ``languages``, callers hear the ``first`` one if they choose none."""

    lines: Sequence[str]
    purposes: tuple[str, ...]
    mode: str
    keep_days: str
    languages: tuple[str, ...]
    first: str
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, fields: MultiDict[str, str], rows: Sequence[LineRow]) -> BulkForm:
        """The form as it was sent, or as a link to it says."""
        ids, mode = {*fields.getlist("lines")}, fields.get("mode", "")
        return cls(
            [row.id for row in rows if row.id in ids or fields.get("lines") == ALL],
            tuple(code for code in standard() if code in fields.getlist("purposes")),
            mode if mode in MODES else "",
            fields.get("keep_days", "").strip()[:10],
            tuple(code for code in LANGUAGES if code in fields.getlist("languages")),
            fields.get("first", "")[:10],
        )

    def check(self) -> bool:
        """Note the mistakes; whether there are none."""
        days = self.keep_days
        if not self.lines:
            self.errors["lines"] = _("Choose at least one number.")
        if days and not (days.isascii() and days.isdecimal() and 1 <= int(days) < 10**6):
            self.errors["keep_days"] = _("Write a number of days.")
        elif not (self.purposes or self.mode or days or self.languages or self.first):
            self.errors["purposes"] = _(
                "Choose what is to change: purposes, the way to agree, the retention, or the languages."
            )
        if (self.first or len(self.languages) > 1) and self.first not in self.languages:
            self.errors["first"] = _("Choose the first of these languages.")
        return not self.errors

    def change(self) -> LineChange:
        """What was entered, once it was checked."""
        days = int(self.keep_days) if self.keep_days else None
        languages = sorted(self.languages, key=lambda code: code != self.first)
        return LineChange(
            purposes=self.purposes, mode=self.mode or None, keep_days=days, languages=languages or None
        )

    def values(self) -> Mapping[str, Sequence[str]]:
        """The fields, for a link or for hidden fields."""
        return {
            "lines": self.lines,
            "purposes": self.purposes,
            "mode": [self.mode] if self.mode else [],
            "keep_days": [self.keep_days] if self.keep_days else [],
            "languages": self.languages,
            "first": [self.first] if self.first else [],
        }


@blueprint.get("/customers/<tenant_id>/announcements")
@login_required
@for_operators
def edit_announcements(tenant_id: str) -> str:
    tenant = find_customer(tenant_id)
    lines = queries.lines(tenant.id)
    return _page(tenant, lines, BulkForm.read(request.args, lines))


@blueprint.post("/customers/<tenant_id>/announcements/preview")
@login_required
@for_operators
def preview_announcements(tenant_id: str) -> ResponseReturnValue:
    """What would become of each number; nothing is kept."""
    tenant = find_customer(tenant_id)
    lines = queries.lines(tenant.id)
    form = BulkForm.read(request.form, lines)
    if not form.check():
        return _page(tenant, lines, form), 422
    groups: dict[OutcomeCode, list[tuple[ChangeOutcome, Sequence[SettingChange]]]] = {}
    for outcome in _carry_out(lines, form, dry_run=True):
        changes = (
            setting_changes(outcome.before, outcome.after)
            if outcome.before is not None and outcome.after is not None
            else ()
        )
        groups.setdefault(outcome.code, []).append((outcome, changes))
    return render_template(
        "provider/announcement_preview.html",
        tenant=tenant,
        form=form,
        groups=[(code, groups[code]) for code in OUTCOMES if code in groups],
    )


@blueprint.post("/customers/<tenant_id>/announcements")
@login_required
@for_operators
def change_announcements(tenant_id: str) -> ResponseReturnValue:
    """Change what can be changed at once, and propose the rest."""
    tenant = find_customer(tenant_id)
    lines = queries.lines(tenant.id)
    form = BulkForm.read(request.form, lines)
    if not form.check():
        return _page(tenant, lines, form), 422
    codes = [each.code for each in _carry_out(lines, form, dry_run=False)]
    counts = {str(code): codes.count(code) for code in OUTCOMES}
    log.info("tenant.announcements_changed", tenant=tenant.id, user=current_visitor().user.id, **counts)
    flash(change_counts(counts), "done")
    return redirect(url_for(".show_customer", tenant_id=tenant.id), 303)


@blueprint.post("/customers/<tenant_id>/numbers/<line_id>/proposal/withdraw")
@login_required
@for_operators
def withdraw_proposal(tenant_id: str, line_id: str) -> ResponseReturnValue:
    """Take back what was proposed, as long as nobody has answered."""
    tenant, number = find_customer(tenant_id), request.form.get("number", -1, type=int)
    if drop_proposals(tenant.id, {line_id: number}, now=now(), entropy=panel_state().entropy):
        log.info("line.proposal_withdrawn", tenant=tenant.id, line=line_id, user=current_visitor().user.id)
        flash(_("The proposal is withdrawn."), "done")
    else:
        flash(_("This proposal was answered or replaced meanwhile."), "wrong")
    return redirect(url_for(".show_customer", tenant_id=tenant.id), 303)


def _carry_out(lines: Sequence[LineRow], form: BulkForm, *, dry_run: bool) -> list[ChangeOutcome]:
    """What becomes of each number that was chosen."""
    state, change = panel_state(), form.change()
    sources = state.sources.cached()
    return [
        change_or_propose(
            line,
            change,
            dry_run=dry_run,
            person=current_visitor().user.id,
            sources=sources,
            now=now(),
            entropy=state.entropy,
        )
        for line in lines
        if line.id in form.lines
    ]


def _page(tenant: TenantRow, lines: Sequence[LineRow], form: BulkForm) -> str:
    rows = {row.id: row for row in queries.announcements(tenant.id)}
    settings: dict[str, LineSettings] = {
        line.id: setup.settings_of([rows[each] for each in line.announcements])
        for line in lines
        if {*line.announcements} <= rows.keys()
    }
    return render_template(
        "provider/announcements.html",
        tenant=tenant,
        lines=lines,
        all_lines=ALL,
        settings=settings,
        form=form,
        purposes=[(code, purpose(code)) for code in standard()],
        modes=[("", _("As it is")), *((code, sentence("mode", code)) for code in MODES)],
        languages=[(code, language_name(code)) for code in LANGUAGES],
    )
