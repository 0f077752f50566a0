"""The blueprint of people's own calls."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("own_call", __name__, template_folder="templates")
