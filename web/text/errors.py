"""What is not possible, in the reader's language; no code ever reaches a page."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from web.text import notes, subject_requests, together, verification_calls
from web.text import retention as retention_text

ERRORS: Mapping[str, object] = {
    "access.not_found": _l("This recording does not exist."),
    "access.purpose_not_announced": _l(
        "This recording was not announced for that purpose. "
        "The people in the call were told what it would be used for, and it is used for nothing else."
    ),
    "access.other_line": _l(
        "You cannot see the calls of this number. An admin of your company can change that."
    ),
    "access.purpose_not_for_role": _l(
        "This purpose was announced, but your role does not include it. A colleague whose role "
        "does can listen for it."
    ),
    "access.purpose_restricted": _l("This recording may no longer be used for that purpose."),
    "access.not_announced": _l(
        "The recording does not show that everybody was told and, where asked, agreed. So it may "
        "not be used, and will be destroyed on the date shown."
    ),
    "access.imported": _l(
        "This recording was imported, and Accord does not know what was announced. It may not be "
        "used until an admin of your company has stated its purpose."
    ),
    "access.purpose_missing": _l("Choose why you are listening."),
    "access.download_role": _l("You cannot download recordings. An admin of your company can allow it."),
    "access.download_plan": _l("Downloads are not part of your company’s plan. Your provider can change it."),
    "access.handover_role": _l("Only admins of your company can download its recordings."),
    "access.handover_none": _l("Nothing is ready to download."),
    "access.handover_over": _l(
        "The download period is over, or the file was prepared again. Reload the page, or ask your provider."
    ),
    "access.handover_changed": _l(
        "Something in the file has changed. Ask your provider to prepare it again."
    ),
    "access.not_admitted": _l("You are not invited to listen to this call."),
    "access.passages_only": _l("You can hear the passages that both sides chose, and nothing else."),
    "access.not_verified": _l(
        "Before you listen, we have to establish that you are the person in this call."
    ),
    "access.dispute_closed": _l("This difference is closed, so the call can no longer be heard here."),
    "access.expired": _l("The announced retention of this recording is over. It can no longer be heard."),
    "access.erased": _l("This recording has been destroyed."),
    "access.held": retention_text.ON_HOLD,
    "access.grant_over": _l("Your listening time is over. Choose a purpose again to continue."),
    "access.revoked": _l("You were logged out after this page was opened. Log in again to listen."),
    "access.seal_broken": _l(
        "This recording has changed since it was sealed after the call, so it is not played. "
        "This was logged and reported."
    ),
    "catalogue.row_damaged": _l("The data of this call is damaged, so it is not shown. Ask your provider."),
    "passkey.name": _l("Write a name in one line, with at most 60 characters."),
    "store.unreachable": _l(
        "The recordings cannot be reached right now. Nothing is lost; try again in a minute."
    ),
}
"""By ``error_id``; what is not here gets its area's sentence (:data:`AREAS`)."""

AREAS: Mapping[str, object] = {
    "access": _l("This is not possible for this recording."),
    "seal": ERRORS["access.seal_broken"],
    "amendment": ERRORS["access.seal_broken"],
    "retention": _l("This is not possible for this recording."),
    "subject_request": _l("This is not possible for this request."),
    "manifest": ERRORS["access.seal_broken"],
    "keys": _l("The key of this recording cannot be used right now. This was reported."),
    "store": ERRORS["store.unreachable"],
    "catalogue": _l("The list of calls cannot be reached right now. Nothing is lost; try again in a minute."),
}


def error(error_id: str) -> str:
    """The sentence of an ``error_id``, in the reader's language."""
    known = (
        ERRORS.get(error_id)
        or notes.ERRORS.get(error_id)
        or retention_text.ERRORS.get(error_id)
        or subject_requests.ERRORS.get(error_id)
        or together.ERRORS.get(error_id)
        or verification_calls.ERRORS.get(error_id)
        or AREAS.get(error_id.partition(".")[0])
    )
    return (
        str(known) if known is not None else _("Something went wrong. It has been reported; try again later.")
    )
