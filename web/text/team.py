"""Roles, and what is wrong with an entry about a person, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.catalogue.records import UserRow
from recorder.domain.roles import ADMIN, AUDITOR, CUSTOMER, OPERATOR, SUPPORT
from recorder.errors import AccordError
from recorder.features.team.invitations import InvitationRow
from web.text import errors

ROLES: Mapping[str, object] = {
    ADMIN: _l("Admin"),
    CUSTOMER: _l("Colleague"),
    AUDITOR: _l("Auditor"),
    OPERATOR: _l("Operator"),
    SUPPORT: _l("Support"),
}

OFFERED = (CUSTOMER, ADMIN, AUDITOR)
"""What an admin can give, in this order."""

ROLE_EXPLANATIONS: Mapping[str, object] = {
    CUSTOMER: _l("Finds calls and listens to them."),
    ADMIN: _l("Also manages the team and decides how long calls are kept. Sees all calls."),
    AUDITOR: _l("Sees the list of all calls and who listened, but cannot listen."),
}

ENDED: Mapping[str, object] = {
    "invitation.accepted": _l("This invitation was accepted already. You can log in."),
    "invitation.withdrawn": _l("This invitation was withdrawn. Ask your admin for a new one."),
    "invitation.expired": _l("This invitation has expired. Ask your admin to send it again."),
    "invitation.unknown": _l(
        "This link is not valid, or a newer one was sent. Look for the newest message, or ask your admin."
    ),
    "link.expired": _l("This link has expired. Ask for a new one."),
    "link.unknown": _l("This link was already used, or a newer one was sent. Ask for a new one."),
}
"""Why a link no longer works, by ``error_id``."""


def role(code: str) -> str:
    """A role's name."""
    return str(ROLES.get(code, code))


def role_explanation(code: str) -> str:
    """What somebody with a role can do."""
    return str(ROLE_EXPLANATIONS[code])


FIELDS: Final = ("name", "address", "role", "lines", "password")
"""The fields of the forms that can be wrong."""


def field_errors(error: AccordError) -> dict[str, str]:
    """The sentence about an error, by the field that it stands beside; ``form`` for one about no field."""
    field = errors.field(error.error_id, FIELDS)
    if field is None:
        return {
            "form": str(_("This could not be saved. It was reported; try again later, or ask your provider."))
        }
    return {field: errors.error(error.error_id)}


def ended(error_id: str) -> str:
    """Why a link no longer works, or cannot be used."""
    if error_id == "user.exists":
        return errors.error(error_id)
    return str(ENDED.get(error_id, ENDED["link.unknown"]))


def seen_lines(row: UserRow | InvitationRow, labels: Mapping[str, str]) -> str:
    """The numbers whose calls somebody sees; ``labels`` are their names by line."""
    if row.lines is None:
        return str(_("Sees all calls"))
    return ", ".join(labels[each] for each in row.lines if each in labels) or str(_("No number yet"))
