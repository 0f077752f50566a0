"""Sentences about persons who ask for their recordings: for the panel, and for the persons themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from recorder.catalogue.subject_request_queries import RequestRow
from recorder.domain.live_command import DONE
from recorder.domain.roles import ADMIN, AUDITOR, CUSTOMER
from recorder.features.subject_requests.reviews import COPIED, DOWNLOADED, HANDED_OVER, ReviewRow
from recorder.seal.amendment_kinds import BOTH_SIDES, STATED, VOUCHED
from recorder.verification_calls.register import VerificationCall
from web.text import formats

WANTS: Final[Mapping[str, object]] = {
    "copy": _l("A copy"),
    "erasure": _l("Erasure"),
    "both": _l("A copy, then erasure"),
}
"""By ``wants`` of a request."""

DISCLOSURES: Final[Mapping[str, object]] = {
    "both": _l("All of the audio"),
    "own": _l("Only their own voice, without the others’"),
    "withheld": _l("No audio"),
}
"""By ``given`` of a recording's review."""

CLOSURES: Final[Mapping[str, object]] = {
    "answered": _l("Answered"),
    "not_proved": _l("It is not established that the number belongs to this person"),
    "taken_back": _l("Withdrawn"),
}
"""By ``closed_how``."""

CALL_RESULTS: Final[Mapping[str, object]] = {
    "line_busy": _l("Not reached: the line was busy."),
    "unanswered": _l("Not reached: nobody answered."),
    "no_way_out": _l(
        "No call was made: the telephone system cannot call external numbers. Your provider can "
        "set that up; meanwhile two colleagues can vouch for the person."
    ),
    "no_switch": _l("No call was made: the telephone system cannot be reached right now."),
    "no_answer": _l(
        "No call was made: none of your telephone systems is set up for external calls, or it did "
        "not answer. Your provider can set that up; meanwhile two colleagues can vouch for the "
        "person."
    ),
    "not_logged": _l("No call was made: the stored data of this call are not in the log."),
    "no_sound": _l("No call was made: there is no sound for this sentence. Your provider can fix that."),
    "unknown": _l("It is not known whether the number was called."),
}
"""By what came of a call with a code (:mod:`recorder.domain.live_command`)."""

CODE_GIVEN: Final[object] = _l("Somebody answered and heard a code, valid until %(time)s. Ask for it.")
CALL_IN_PROGRESS: Final[object] = _l("Calling the number. Refresh in a moment.")


def wants(code: str) -> str:
    """What somebody asks for."""
    return str(WANTS[code])


def disclosure(code: str) -> str:
    """What is given of a recording."""
    return str(DISCLOSURES[code])


def closure(code: str) -> str:
    """How a request ended."""
    return str(CLOSURES[code])


def long_date(day: date) -> str:
    """A day, as people write it."""
    return formats.date(day)


def call_result(row: VerificationCall, time: str) -> str:
    """What came of a call with a code; ``time`` is until when that is valid."""
    if row.outcome is None:
        return str(CALL_IN_PROGRESS)
    if row.outcome == DONE:
        return str(CODE_GIVEN) % {"time": time}
    return str(CALL_RESULTS.get(row.outcome, CALL_RESULTS["unknown"]))


def verification(row: RequestRow) -> str:
    """How it was shown that the number is theirs."""
    if row.verified_how == "code":
        return str(_("The number was called, and the person gave the code."))
    return str(_("Two colleagues vouched for the person."))


def state(row: RequestRow) -> str:
    """How far a request is."""
    if row.closed_how is not None:
        return str(CLOSURES[row.closed_how])
    if row.verified_at is not None:
        return str(_("In progress"))
    if row.vouched_at is not None:
        return str(_("One colleague has vouched for the person; a second is needed"))
    return str(_("Number to be verified"))


def erasure_result(row: ReviewRow, date: str) -> str:
    """What came of erasing a recording; empty where that was not tried.  ``date``: of the reason's end."""
    if row.erased_at is not None:
        return str(_("It is erased, in every copy kept here."))
    if row.kept_reason == "retention.held":
        return str(
            _(
                "It is kept for a difference. This is reviewed by %(date)s at the latest.",
                date=date,
            )
        )
    if row.kept_reason == "retention.by_law":
        return str(_("It is kept until %(date)s, as required by law.", date=date))
    return str(_("It is kept for now.")) if row.kept_reason else ""


def calls_erased(calls: int) -> str:
    """How many calls that were not recorded were erased."""
    return str(
        ngettext(
            "%(num)d unrecorded call is erased, with its number and time.",
            "%(num)d unrecorded calls are erased, with their numbers and times.",
            calls,
        )
    )


def calls_kept(calls: int) -> str:
    """How many calls are not erased, because their sound is set aside."""
    return str(
        ngettext(
            "%(num)d call is set aside until a decision is made about it. It is kept for now.",
            "%(num)d calls are set aside until a decision is made about them. They are kept for now.",
            calls,
        )
    )


ROLES: Final[Mapping[str, object]] = {
    ADMIN: _l("an admin"),
    CUSTOMER: _l("a colleague"),
    AUDITOR: _l("an auditor"),
}
"""Who listened, by role: GDPR art. 15 asks for no employee's name (CJEU C-579/21)."""


def role(code: str) -> str:
    """Somebody by what they are."""
    return str(ROLES.get(code, ROLES[CUSTOMER]))


def listening(how: str, purpose: str) -> str:
    """How the sound of a recording went to somebody; ``purpose`` is what they listened for."""
    if how == COPIED:
        return str(_("copy for the person who was recorded"))
    if how == DOWNLOADED:
        return str(_("downloaded, for: %(purpose)s", purpose=purpose))
    return str(_("downloaded by the company when it left")) if how == HANDED_OVER else purpose


AMENDMENTS: Final[Mapping[str, object]] = {
    "consent_added": _l("Entered after the call: the recording may be kept."),
    "outcome_added": _l("The way forward was sealed."),
    "consent_withdrawn": _l("Consent withdrawn."),
    "purposes_narrowed": _l("Some purposes ended."),
    "hold_set": _l("Kept for a difference."),
    "hold_lifted": _l("Released."),
    "deletion_requested": _l("Deletion requested."),
    "erasure_deferred": _l("Deletion waits for the way forward."),
    "deferral_ended": _l("Deletion no longer waits."),
}
"""By an amendment's kind."""

AGREEMENTS: Final[Mapping[tuple[str, str], object]] = {
    ("consent_added", STATED): _l("Entered later by one person alone: the recording may be kept."),
    ("consent_added", VOUCHED): _l(
        "The recording may be kept. Two people of the company vouch for the other person."
    ),
    ("consent_added", BOTH_SIDES): _l("Both sides agreed later: the recording may be kept."),
    ("outcome_added", VOUCHED): _l(
        "The way forward was confirmed. Two people of the company vouch for the other person."
    ),
    ("outcome_added", BOTH_SIDES): _l("Both sides agreed on the way forward."),
}
"""By an amendment's kind and what it rests on."""


def amendment(kind: str, basis: str = "") -> str:
    """What was noted of a recording after its call, and what an agreement rests on."""
    return str(AGREEMENTS.get((kind, basis)) or AMENDMENTS.get(kind, _("A note was added.")))
