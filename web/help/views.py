"""Short answers in the reader's language, and the people who know more."""

from __future__ import annotations

from flask import Blueprint, render_template

from recorder.features.notes.rules import AUTHORS
from recorder.identity import users
from recorder.prompts.purposes import standard
from web.brand import current_brand
from web.state import current_visitor, login_required

blueprint = Blueprint("help", __name__, template_folder="templates")


@blueprint.get("/help")
@login_required
def show() -> str:
    user = current_visitor().user
    return render_template(
        "help/show.html",
        purposes=[code for code, each in standard().items() if user.role in each.roles],
        writes=user.role in AUTHORS,
        admins=[each.name for each in users.active_admins(user.tenant) if each.id != user.id],
        support=current_brand().support,
    )
