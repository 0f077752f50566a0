"""The blueprint of log-in, account page and second factors."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("account", __name__, template_folder="templates")
