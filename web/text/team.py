"""Roles, and what is wrong with an entry about a person, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext as _

from recorder.catalogue.records import UserRow
from recorder.domain.roles import ADMIN, AUDITOR, CUSTOMER
from recorder.errors import AccordError
from recorder.features.team.invitations import InvitationRow
from web.text import errors
from web.text.sentences import SENTENCES, sentence

OFFERED = (CUSTOMER, ADMIN, AUDITOR)
"""What an admin can give, in this order."""

FIELDS: Final = ("name", "address", "role", "lines", "extensions", "password")
"""The fields of the forms that can be wrong."""


def field_errors(error: AccordError) -> dict[str, str]:
    """The sentence about an error, by the field that it stands beside; ``form`` for one about no field."""
    field = errors.field(error.error_id, FIELDS)
    if field is None:
        return {
            "form": str(_("This could not be saved. It was reported; try again later, or ask your provider."))
        }
    return {field: errors.error(error.error_id)}


def is_ended(error_id: str) -> bool:
    """Whether an error is that a link no longer works."""
    return error_id in SENTENCES["link_ended"]


def ended(error_id: str) -> str:
    """Why a link no longer works, or cannot be used."""
    if error_id == "user.exists":
        return errors.error(error_id)
    return sentence("link_ended", error_id if is_ended(error_id) else "link.unknown")


def seen_lines(row: UserRow | InvitationRow, labels: Mapping[str, str]) -> str:
    """The numbers whose calls somebody sees; ``labels`` are their names by line."""
    if row.lines is None:
        return str(_("Sees all calls"))
    return ", ".join(labels[each] for each in row.lines if each in labels) or str(_("No number yet"))
