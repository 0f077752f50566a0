"""Sentences about persons who ask for their recordings: for the panel, and for the persons themselves."""

from __future__ import annotations

from flask_babel import gettext as _

from recorder.catalogue.subject_request_queries import RequestRow
from recorder.features.subject_requests.reviews import LISTENED, ReviewRow
from web.text.sentences import sentence


def state(row: RequestRow) -> str:
    """How far a request is."""
    if row.closed_how is not None:
        return sentence("closure", row.closed_how)
    if row.verified_at is not None:
        return str(_("In progress"))
    if row.vouched_at is not None:
        return str(_("One colleague has vouched for the person; a second is needed"))
    return str(_("Number to be verified"))


def erasure_result(row: ReviewRow, date: str) -> str:
    """What came of erasing a recording; empty where that was not tried.  ``date``: of the reason's end."""
    if row.erased_at is not None:
        return sentence("erasure_result", "erased")
    return sentence("erasure_result", row.kept_reason, date=date) if row.kept_reason else ""


def listening(how: str, purpose: str) -> str:
    """How the sound of a recording went to somebody; ``purpose`` is what they listened for."""
    return purpose if how == LISTENED else sentence("handed_out", how, purpose=purpose)
