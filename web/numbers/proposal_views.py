"""What the provider proposes that a number announces, or asks as its keep question: the page for admins, and
their answer."""

from __future__ import annotations

import structlog
from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.catalogue import queries
from recorder.catalogue.records import LineRow
from recorder.domain.roles import PROVIDER
from recorder.errors import CatalogueError, ConfigError
from recorder.features.tenants import line_proposals
from recorder.identity import users
from web.errors import error_page
from web.numbers.blueprint import active_line, blueprint
from web.numbers.setup_views import for_admins
from web.numbers.sound import send_prompt
from web.state import current_visitor, login_required, now, panel_state
from web.text import proposals as text
from web.text.numbers import setup_error

log = structlog.get_logger()


@blueprint.get("/numbers/<line_id>/proposal")
@login_required
@for_admins
def show_proposal(line_id: str) -> ResponseReturnValue:
    return _page(active_line(line_id))


@blueprint.get("/numbers/<line_id>/proposal/<int:place>.wav")
@login_required
@for_admins
def play_proposal(line_id: str, place: int) -> ResponseReturnValue:
    """A sentence of the keep question that is proposed, byte for byte as it would be stored."""
    try:
        view = line_proposals.show_proposal(active_line(line_id), sources=panel_state().sources)
    except (CatalogueError, ConfigError) as error:
        return _refused(error)
    prompts = () if view is None or view.keep is None else view.keep.prompts
    if place >= len(prompts):
        abort(404)
    return send_prompt(prompts[place])


@blueprint.post("/numbers/<line_id>/proposal")
@login_required
@for_admins
def accept_proposal(line_id: str) -> ResponseReturnValue:
    """Announce from the next call on what was proposed, as the page showed it."""
    line, state = active_line(line_id), panel_state()
    try:
        line_proposals.accept_proposal(
            line.tenant,
            line.id,
            request.form.get("digest", ""),
            others=_others(),
            who=current_visitor().user.id,
            sources=state.sources,
            now=now(),
            entropy=state.entropy,
        )
    except (CatalogueError, ConfigError) as error:
        return _page(line, changed=True) if error.error_id == "line.changed" else _refused(error)
    for each in (line.id, *_others()):
        log.info("line.proposal_accepted", tenant=line.tenant, line=each, user=current_visitor().user.id)
    flash(_("Accepted. Callers hear it from the next call on."), "done")
    return redirect(url_for(".show", _anchor=f"line-{line.id}"), 303)


@blueprint.post("/numbers/<line_id>/proposal/no")
@login_required
@for_admins
def drop_proposal(line_id: str) -> ResponseReturnValue:
    """Leave what callers hear as it is."""
    line, number = active_line(line_id), request.form.get("number", -1, type=int)
    who, entropy = current_visitor().user.id, panel_state().entropy
    numbers = {line.id: number, **_others()}
    if not line_proposals.drop_proposals(line.tenant, numbers, who=who, now=now(), entropy=entropy):
        return _page(line, changed=True)
    for each in numbers:
        log.info("line.proposal_declined", tenant=line.tenant, line=each, user=who)
    flash(_("Nothing changes: callers hear what they hear now."), "done")
    return redirect(url_for(".show", _anchor=f"line-{line.id}"), 303)


def _others() -> dict[str, int]:
    """The other lines that the answer is about, too, as the page named them: the numbers of their proposals'
    leaves by line."""
    if request.form.get("all") != "yes":
        return {}
    pairs = (each.partition(":") for each in request.form.getlist("others"))
    return {line: int(number) for line, _colon, number in pairs if number.isascii() and number.isdecimal()}


def _page(line: LineRow, *, changed: bool = False) -> ResponseReturnValue:
    try:
        view = line_proposals.show_proposal(line, sources=panel_state().sources)
    except (CatalogueError, ConfigError) as error:
        return _refused(error)
    if view is None:
        flash(_("There is no proposal any more."), "done")
        return redirect(url_for(".show", _anchor=f"line-{line.id}"), 303)
    equal, lines = line_proposals.find_equal(view), queries.lines(line.tenant)
    page = render_template(
        "numbers/proposal.html",
        line=line,
        view=view,
        others=[(each, equal[each.id].number) for each in lines if each.id in equal],
        changes=text.proposed_changes(line, view.proposal, view.before.settings, view.after.settings),
        proposed_by=text.proposed_by(view.proposal, {each.id: each.name for each in users.users(PROVIDER)}),
        changed=changed,
    )
    return page, 409 if changed else 200


def _refused(error: CatalogueError | ConfigError) -> ResponseReturnValue:
    """Why it cannot be announced: the country's rules may have changed, or a sound may be missing."""
    if error.error_id.startswith("catalogue."):
        raise error
    return error_page(422, setup_error(error, ())[1], back=url_for(".show"))
