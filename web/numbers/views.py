"""The page of numbers: which are recorded, since when, and what callers hear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import abort, render_template
from flask.typing import ResponseReturnValue

from recorder.catalogue import queries
from recorder.catalogue.records import AnnouncementRow, LineRow
from recorder.features.tenants import setting_sources, setup
from recorder.features.tenants.drafts import drafted_lines
from recorder.features.tenants.setting_sources import SettingSource
from recorder.features.tenants.setup import LineVersion, PreviewedPrompt
from recorder.identity import users
from recorder.isolation import isolate_object
from recorder.lifecycle import limits, line_rules
from recorder.lifecycle.limits import LimitRow
from recorder.lifecycle.line_proposals import find_proposals
from recorder.lifecycle.suspension import find_suspensions
from web.numbers.blueprint import active_line, blueprint
from web.numbers.sound import send_prompt
from web.state import current_visitor, login_required, page_faults, panel_state


@dataclass(frozen=True, slots=True)
class Number:
    """A line and its announcements, in the order of its languages. ``is_started``: somebody is setting it up.
    ``sources`` are those of what it announces, ``limits`` the shorter retention that the customer chose,
    ``rules`` the codes of the countries whose rules it follows, ``abroad`` the other country that it is
    from, ``is_proposed`` whether the provider's proposal waits for an answer."""

    line: LineRow
    announcements: tuple[AnnouncementRow, ...]
    versions: tuple[LineVersion, ...]
    is_started: bool
    sources: Mapping[str, SettingSource]
    limits: Sequence[LimitRow]
    rules: str
    abroad: str | None
    is_proposed: bool


@blueprint.get("/numbers")
@login_required
def show() -> str:
    tenant = current_visitor().tenant
    faults = page_faults()
    rows = {row.id: row for row in queries.announcements(tenant.id, faults=faults)}
    versions, drafted = setup.versions(tenant.id), drafted_lines(tenant.id)
    proposals = find_proposals(tenant.id) if current_visitor().admin else {}
    decision, known_limits = line_rules.find_decision(tenant.id), _limits()
    numbers = []
    for line in queries.lines(tenant.id, faults=faults):
        if not current_visitor().sees(line.id):
            continue
        with isolate_object(faults, "line.unreadable", line.id, line=line.id):
            announcements = tuple(rows[each] for each in line.announcements)
            known_versions = tuple(versions.get(line.id, ()))
            pack = line_rules.decided_rules(tenant.country, line.number, decision)
            number = Number(
                line,
                announcements,
                known_versions,
                line.id in drafted,
                setting_sources.announcement_sources(line, known_versions, rows, pack),
                setting_sources.shorter_limits(line, announcements[0], known_limits),
                pack.code,
                line_rules.foreign_country(tenant.country, line.number),
                line.id in proposals,
            )
            numbers.append(number)
    return render_template(
        "numbers/show.html",
        numbers=numbers,
        tenant=tenant,
        decision=decision,
        country_source=setting_sources.company_sources(tenant.id).get("country"),
        limit_source=setting_sources.limit_source,
        names={each.id: each.name for each in users.users(tenant.id)},
        suspensions=find_suspensions(tenant.id),
        can_add=current_visitor().admin and panel_state().number_proofs is not None,
    )


def _limits() -> Sequence[LimitRow]:
    """How long the customer keeps recordings, where it chose less than it announces."""
    office = panel_state().changes
    return () if office is None else limits.in_force(current_visitor().tenant.id, office.trust)


@blueprint.get("/numbers/<line_id>/history")
@login_required
def list_versions(line_id: str) -> str:
    """What the number announced, since when, and who changed it."""
    tenant, line = current_visitor().tenant, active_line(line_id)
    rows = {row.id: row for row in queries.announcements(tenant.id)}
    names = {each.id: each.name for each in users.users(tenant.id)}
    return render_template(
        "numbers/history.html",
        line=line,
        versions=setup.versions(tenant.id).get(line.id, ()),
        announcements=rows,
        names=names,
    )


@blueprint.get("/numbers/announcements/<announcement_id>/<part>.wav")
@login_required
def play_announcement(announcement_id: str, part: str) -> ResponseReturnValue:
    """A sentence of one of the customer's announcements, as callers hear it."""
    row = queries.announcement(current_visitor().tenant.id, announcement_id)
    if row is None:
        abort(404)
    return send_prompt(_part(setup.saved_prompts(row), part))


def _part(prompts: list[PreviewedPrompt], part: str) -> PreviewedPrompt:
    found = next((each for each in prompts if each.part == part), None)
    if found is None:
        abort(404)
    return found
