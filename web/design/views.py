"""The design page: for people who build or run the panel, so in English only, and not in the navigation."""

from __future__ import annotations

from flask import Blueprint, render_template

from web.state import login_required, now

blueprint = Blueprint("design", __name__, template_folder="templates")

COLOURS = (
    "paper", "sheet", "ink", "muted", "rule", "edge",
    "one", "one-soft", "two", "two-soft", "wrong", "wrong-soft",
)  # fmt: skip


@blueprint.get("/design")
@login_required
def show() -> str:
    return render_template("design/show.html", colours=COLOURS, at=now())
