"""The blueprint of the pages of numbers, and their customer's line."""

from __future__ import annotations

from flask import Blueprint, abort

from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.records import LineRow
from recorder.lifecycle import line_rules
from recorder.prompts.country_rules import Pack
from web.state import current_visitor

blueprint = Blueprint("numbers", __name__, template_folder="templates")


def active_line(line_id: str) -> LineRow:
    """The visitor's line, else 404."""
    row = queries.line(current_visitor().tenant.id, line_id)
    if row is None or row.until is not None or not current_visitor().sees(row.id):
        abort(404)
    return row


def line_pack(line: LineRow) -> Pack:
    """The rules of countries that a line follows."""
    with connected():
        return line_rules.rules_of(line.tenant, line.number)
