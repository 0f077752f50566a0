"""A person's own account."""

from __future__ import annotations

from flask import render_template

from web.account.blueprint import blueprint
from web.account.factors import service
from web.state import current_visitor, login_required


@blueprint.get("/account")
@login_required
def show() -> str:
    return render_template("account/show.html", factors=service().current(current_visitor().user))
