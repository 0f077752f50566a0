"""The pages of disputes, for the customer's people and for guests."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("disputes", __name__, template_folder="templates")
