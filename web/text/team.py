"""Roles, and what is wrong with an entry about a person, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.catalogue.records import UserRow
from recorder.domain.roles import ADMIN, AUDITOR, CUSTOMER, OPERATOR, SUPPORT
from recorder.errors import AccordError
from recorder.features.team.invitations import InvitationRow

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

ERRORS: Mapping[str, tuple[str, object]] = {
    "user.name": ("name", _l("Enter a name of up to 100 characters, on one line.")),
    "user.name_exists": (
        "name",
        _l("Somebody in your team already has this name. Add an initial or a department."),
    ),
    "mail.address": ("address", _l("Enter an email address, such as claire@example.com.")),
    "user.login": ("address", _l("Enter an email address, such as claire@example.com.")),
    "user.exists": ("address", _l("Somebody already logs in with this address.")),
    "invitation.exists": (
        "address",
        _l("This address already has an invitation. Send it again from the team page."),
    ),
    "user.role": ("role", _l("Choose a role.")),
    "user.last_admin": (
        "role",
        _l("This is your only admin. Make somebody else an admin first."),
    ),
    "user.lines": ("lines", _l("Choose at least one number, or let this person see all calls.")),
    "user.password": ("password", _l("Use at least 12 characters.")),
    "user.password_long": ("password", _l("This password is too long.")),
    "user.password_named": (
        "password",
        _l("This password contains a name that is easy to guess. Use several unrelated words."),
    ),
    "user.password_common": (
        "password",
        _l("This password is too easy to guess. Use several unrelated words."),
    ),
    "user.password_breached": (
        "password",
        _l("This password appeared in a data breach elsewhere. Use several unrelated words."),
    ),
    "user.password_unchecked": (
        "password",
        _l("No new password can be chosen right now. This was reported; try again later."),
    ),
    "user.password_wrong": ("password", _l("This is not your current password.")),
}
"""By ``error_id``: the field that it is about, and the sentence beside it."""

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


def field_errors(error: AccordError) -> dict[str, str]:
    """The sentence about an error, by the field that it stands beside; ``form`` for one about no field."""
    field, text = ERRORS.get(
        error.error_id,
        ("form", _l("This could not be saved. It was reported; try again later, or ask your provider.")),
    )
    return {field: str(text)}


def ended(error_id: str) -> str:
    """Why a link no longer works, or cannot be used."""
    sentences = {**ENDED, "user.exists": ERRORS["user.exists"][1]}
    return str(sentences.get(error_id, ENDED["link.unknown"]))


def seen_lines(row: UserRow | InvitationRow, labels: Mapping[str, str]) -> str:
    """The numbers whose calls somebody sees; ``labels`` are their names by line."""
    if row.lines is None:
        return str(_("Sees all calls"))
    return ", ".join(labels[each] for each in row.lines if each in labels) or str(_("No number yet"))
