"""The page on which a customer's admins create and revoke the API tokens of their own programs."""

from __future__ import annotations

import structlog
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.errors import CatalogueError
from recorder.identity import api_tokens
from recorder.lifecycle.plans import API
from web.account.limits import limiter
from web.decorators import admins_only, in_plan
from web.state import changes, current_visitor, login_required, now, panel_state
from web.text import errors

log = structlog.get_logger()

blueprint = Blueprint("api_tokens", __name__, template_folder="templates")

limit_tokens = limiter.limit("20/hour", methods=["POST"])
for_admins = admins_only(lambda _view_args: "/")


@blueprint.get("/api-tokens")
@login_required
@for_admins
@in_plan(API)
def list_tokens() -> str:
    return _page()


@blueprint.post("/api-tokens")
@login_required
@limit_tokens
@for_admins
@in_plan(API)
def create_token() -> ResponseReturnValue:
    """Create a token, and show it this once."""
    user, name = current_visitor().user, request.form.get("name", "")[:300]
    try:
        row, secret = api_tokens.issue(
            user.tenant,
            name=name,
            who=user.id,
            now=now(),
            entropy=panel_state().entropy,
            signer=changes().signer,
        )
    except CatalogueError as error:
        return _page(name=name.strip(), wrong=errors.error(error.error_id)), 422
    log.info("token.created", tenant=row.tenant, token=row.id, user=user.id)
    return render_template("api_tokens/created.html", name=row.name, secret=secret)


@blueprint.post("/api-tokens/<token_id>/revoke")
@login_required
@limit_tokens
@for_admins
def revoke_token(token_id: str) -> ResponseReturnValue:
    """Revoke a token at once, whatever the plan has now."""
    user = current_visitor().user
    if not api_tokens.revoke(user.tenant, token_id, who=user.id, now=now(), entropy=panel_state().entropy):
        abort(404)
    log.info("token.revoked", tenant=user.tenant, token=token_id, user=user.id)
    flash(_("The program has no access any more."), "done")
    return redirect(url_for(".list_tokens"), 303)


def _page(name: str = "", wrong: str = "") -> str:
    rows = [row for row in api_tokens.tokens(current_visitor().user.tenant) if row.revoked_at is None]
    return render_template("api_tokens/list.html", tokens=rows, name=name, wrong=wrong)
