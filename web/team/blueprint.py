"""The pages of the team, and those that links in mails lead to."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("team", __name__, template_folder="templates")
