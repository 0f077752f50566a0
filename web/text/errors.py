"""What is not possible, in the reader's language; no code ever reaches a page."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from web.text import retention as keeping
from web.text import subject_requests

ERRORS: Mapping[str, object] = {
    "access.not_found": _l("There is no such recording."),
    "access.purpose_not_announced": _l(
        "This recording was not announced for that purpose. "
        "The people in the call were told what it would be used for, and it is used for nothing else."
    ),
    "access.purpose_not_for_role": _l(
        "That purpose was announced, but your role in this company does not include it. "
        "A colleague whose role does can listen for it."
    ),
    "access.purpose_restricted": _l("This recording may no longer be used for that purpose."),
    "access.not_announced": _l(
        "It could not be found in this recording that everybody was told, and agreed where that was asked. "
        "So it may not be used for anything. "
        "It will be destroyed on the date shown."
    ),
    "access.imported": _l(
        "This recording was brought in from elsewhere, and nothing was announced to Accord. "
        "It may not be used for anything until your company has stated what for."
    ),
    "access.handover_role": _l("Only admins of your company are handed its recordings."),
    "access.handover_none": _l("Nothing is ready to be fetched."),
    "access.handover_over": _l(
        "The time in which this could be fetched is over, or it was put together anew. "
        "Load the page again, or ask your provider."
    ),
    "access.handover_changed": _l(
        "Something in it is no longer what it was. Ask your provider to put it together anew."
    ),
    "access.expired": _l(
        "The time for which this recording was announced to be kept is over. It can no longer be heard."
    ),
    "access.erased": _l("This recording has been destroyed."),
    "access.held": keeping.HELD,
    "access.grant_over": _l("Your time to listen is over. Choose a purpose again to go on."),
    "access.revoked": _l(
        "You have been logged out since this page was opened. Log in again, then choose what you listen for."
    ),
    "access.seal_broken": _l(
        "This recording is no longer what was sealed after the call, so it is not played. "
        "This was written in the log and reported."
    ),
    "store.unreachable": _l(
        "The recordings cannot be reached just now. Nothing is lost; try again in a minute."
    ),
}
"""By ``error_id``; what is not here gets its area's sentence (:data:`AREAS`)."""

AREAS: Mapping[str, object] = {
    "access": _l("This is not possible for this recording."),
    "seal": ERRORS["access.seal_broken"],
    "amendment": ERRORS["access.seal_broken"],
    "keeping": _l("This is not possible for this recording."),
    "person": _l("This is not possible for this request."),
    "envelope": ERRORS["access.seal_broken"],
    "manifest": ERRORS["access.seal_broken"],
    "keys": _l("The key of this recording cannot be used just now. This was reported."),
    "store": ERRORS["store.unreachable"],
    "catalogue": _l("The list of calls cannot be reached just now. Nothing is lost; try again in a minute."),
}


def error(error_id: str) -> str:
    """The sentence of an ``error_id``, in the reader's language."""
    known = (
        ERRORS.get(error_id)
        or keeping.ERRORS.get(error_id)
        or subject_requests.ERRORS.get(error_id)
        or AREAS.get(error_id.partition(".")[0])
    )
    return (
        str(known) if known is not None else _("Something went wrong here. It was reported; try again later.")
    )
