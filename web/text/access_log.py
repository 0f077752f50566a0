"""The access log in plain words: a sentence for each kind of leaf.

**A new kind of leaf needs one line here**, in :data:`SENTENCES`: its group, and what happened. ``%(who)s`` is
who did it (the leaf's ``actor``, ``by`` or ``user``), ``%(whom)s`` the user whom it is about. What else the
leaf says is listed below the sentence; a new field of a leaf needs one line in :mod:`web.text.log_details`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.domain.roles import GUESTS
from recorder.features.access_log.rules import CHANGED, ERASED, LogEntry, Person

LISTENING: Final = "listening"
COPIES: Final = "copies"
REFUSALS: Final = "refusals"
RECORDINGS: Final = "recordings"
LIVE: Final = "live"
SETTINGS: Final = "settings"
PEOPLE: Final = "people"
LOG_INS: Final = "log-ins"
REQUESTS: Final = "requests"
DIFFERENCES: Final = "differences"
SYSTEM: Final = "system"

GROUPS: Final[Mapping[str, object]] = {
    LISTENING: _l("Listening"),
    COPIES: _l("Downloads and copies"),
    REFUSALS: _l("Refusals"),
    RECORDINGS: _l("Recordings"),
    LIVE: _l("Actions during calls"),
    SETTINGS: _l("Settings"),
    PEOPLE: _l("People and access"),
    LOG_INS: _l("Log-ins"),
    REQUESTS: _l("Privacy requests"),
    DIFFERENCES: _l("Differences"),
    SYSTEM: _l("Keys, backups and the log"),
}
"""The groups by which the log is filtered, in this order."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """The group of a kind of leaf, and what happened."""

    group: str
    text: object


SENTENCES: Final[Mapping[str, Sentence]] = {
    "grant.given": Sentence(LISTENING, _l("%(who)s opened a recording.")),
    "grant.renewed": Sentence(LISTENING, _l("%(who)s kept a recording open for longer.")),
    "listen.opened": Sentence(LISTENING, _l("%(who)s listened to a recording.")),
    "listen.closed": Sentence(LISTENING, _l("%(who)s stopped listening.")),
    "recording.downloaded": Sentence(COPIES, _l("%(who)s downloaded a recording.")),
    "recording.exported": Sentence(COPIES, _l("%(who)s downloaded a recording for a privacy request.")),
    "recording.handed_over": Sentence(
        COPIES, _l("%(who)s downloaded a recording with the archive of all recordings.")
    ),
    "handover.started": Sentence(COPIES, _l("The archive of all recordings is being prepared.")),
    "handover.completed": Sentence(COPIES, _l("The archive of all recordings is ready.")),
    "handover.opened": Sentence(COPIES, _l("%(who)s downloaded part of the archive of all recordings.")),
    "access.refused": Sentence(REFUSALS, _l("%(who)s was not allowed to listen.")),
    "seal.broken": Sentence(
        REFUSALS, _l("%(who)s could not listen to a recording: it has changed since it was sealed.")
    ),
    "recording.stored": Sentence(RECORDINGS, _l("A recording was stored.")),
    "recording.amended": Sentence(RECORDINGS, _l("%(who)s changed the terms of a recording.")),
    "recording.erased": Sentence(RECORDINGS, _l("A recording was deleted.")),
    "recording.rebuilt": Sentence(RECORDINGS, _l("A recording was listed again after a restore.")),
    "call.not_recorded": Sentence(RECORDINGS, _l("A call was not recorded.")),
    "quarantine.erased": Sentence(RECORDINGS, _l("A recording that could not be used was deleted.")),
    "note.added": Sentence(RECORDINGS, _l("%(who)s added a note to a recording.")),
    "note.edited": Sentence(RECORDINGS, _l("%(who)s edited a note on a recording.")),
    "note.deleted": Sentence(RECORDINGS, _l("%(who)s deleted a note on a recording.")),
    "calls.erased": Sentence(
        REQUESTS, _l("%(who)s removed calls that were not recorded, for a privacy request.")
    ),
    "command.requested": Sentence(LIVE, _l("%(who)s used a button during a call.")),
    "command.answered": Sentence(LIVE, _l("The recorder answered a button used during a call.")),
    "tenant.created": Sentence(SETTINGS, _l("%(who)s set up the company’s account.")),
    "customer.created": Sentence(PEOPLE, _l("%(who)s invited a customer.")),
    "provider.branding_changed": Sentence(
        SETTINGS, _l("%(who)s changed the provider’s name, logo, colours or addresses.")
    ),
    "tenant.changed": Sentence(SETTINGS, _l("%(who)s changed the company’s name or language.")),
    "tenant.sign_in_changed": Sentence(SETTINGS, _l("%(who)s changed the log-in rules.")),
    "tenant.country_changed": Sentence(SETTINGS, _l("%(who)s changed the country whose rules apply.")),
    "tenant.plan_changed": Sentence(SETTINGS, _l("%(who)s changed the company’s plan.")),
    "announcement.created": Sentence(SETTINGS, _l("%(who)s saved an announcement.")),
    "line.created": Sentence(SETTINGS, _l("%(who)s added a number.")),
    "number.call_ordered": Sentence(SETTINGS, _l("%(who)s requested a call with a code, to add a number.")),
    "number.code_created": Sentence(SETTINGS, _l("A code was created for a number.")),
    "number.called": Sentence(SETTINGS, _l("A number was called with a code.")),
    "number.code_tried": Sentence(SETTINGS, _l("%(who)s entered the code of a number.")),
    "number.proved": Sentence(
        SETTINGS, _l("%(who)s confirmed with the code that a number belongs to the company.")
    ),
    "line.changed": Sentence(SETTINGS, _l("%(who)s changed how a number is recorded.")),
    "line.ended": Sentence(SETTINGS, _l("%(who)s switched off recording for a number.")),
    "retention_limit.set": Sentence(SETTINGS, _l("%(who)s limited how long recordings are kept.")),
    "retention_limit.lifted": Sentence(
        SETTINGS, _l("%(who)s lifted a limit on how long recordings are kept.")
    ),
    "recipient.added": Sentence(
        SETTINGS, _l("%(who)s added an address that receives the log’s checkpoints by email.")
    ),
    "recipient.removed": Sentence(
        SETTINGS, _l("%(who)s removed an address that received the log’s checkpoints by email.")
    ),
    "tenant.offboarding_announced": Sentence(
        SETTINGS, _l("%(who)s announced that the company leaves.")
    ),
    "tenant.offboarding_cancelled": Sentence(SETTINGS, _l("%(who)s noted that the company stays.")),
    "user.created": Sentence(PEOPLE, _l("%(who)s gave %(whom)s access.")),
    "user.revoked": Sentence(PEOPLE, _l("%(who)s ended the access of %(whom)s.")),
    "user.password_changed": Sentence(PEOPLE, _l("The password of %(whom)s was changed.")),
    "user.access_changed": Sentence(PEOPLE, _l("The access of %(whom)s was changed.")),
    "user.download_changed": Sentence(
        PEOPLE, _l("%(who)s changed whether %(whom)s may download recordings.")
    ),
    "user.login_changed": Sentence(PEOPLE, _l("The log-in of %(whom)s was changed.")),
    "user.profile_changed": Sentence(PEOPLE, _l("The name or language of %(whom)s was changed.")),
    "user.link_issued": Sentence(PEOPLE, _l("A link was created for %(whom)s.")),
    "user.factor_reset_requested": Sentence(
        PEOPLE, _l("A reset of the two-step log-in of %(whom)s was requested.")
    ),
    "user.factor_reset_ended": Sentence(
        PEOPLE, _l("The request to reset the two-step log-in of %(whom)s ended.")
    ),
    "user.factors_changed": Sentence(PEOPLE, _l("The two-step log-in of %(whom)s was changed.")),
    "invitation.created": Sentence(PEOPLE, _l("%(who)s invited somebody.")),
    "invitation.renewed": Sentence(PEOPLE, _l("%(who)s renewed an invitation.")),
    "invitation.withdrawn": Sentence(PEOPLE, _l("%(who)s withdrew an invitation.")),
    "invitation.accepted": Sentence(PEOPLE, _l("%(who)s accepted an invitation.")),
    "token.created": Sentence(PEOPLE, _l("%(who)s gave a program access.")),
    "token.revoked": Sentence(PEOPLE, _l("%(who)s ended a program’s access.")),
    "session.opened": Sentence(LOG_INS, _l("%(who)s logged in.")),
    "session.closed": Sentence(LOG_INS, _l("%(who)s was logged out.")),
    "session.refused": Sentence(LOG_INS, _l("A log-in as %(who)s failed: wrong password.")),
    "subject_request.received": Sentence(REQUESTS, _l("%(who)s entered a privacy request.")),
    "subject_request.extended": Sentence(
        REQUESTS, _l("%(who)s extended the deadline of a privacy request.")
    ),
    "subject_request.vouched": Sentence(REQUESTS, _l("%(who)s vouched for the requester.")),
    "subject_request.verified": Sentence(
        REQUESTS, _l("It was verified that the number belongs to the requester.")
    ),
    "subject_request.closed": Sentence(REQUESTS, _l("%(who)s closed a privacy request.")),
    "subject_request.exported": Sentence(
        REQUESTS, _l("%(who)s downloaded the copy for a privacy request.")
    ),
    "subject_request.call_ordered": Sentence(
        REQUESTS, _l("%(who)s requested a call with a code to the requester.")
    ),
    "subject_request.called": Sentence(REQUESTS, _l("The requester was called with a code.")),
    "subject_request.code_created": Sentence(REQUESTS, _l("A code was created for the requester.")),
    "subject_request.code_tried": Sentence(
        REQUESTS, _l("%(who)s entered a code from the requester.")
    ),
    "subject_request.recording_heard": Sentence(
        REQUESTS, _l("%(who)s started handling a recording for a privacy request.")
    ),
    "subject_request.recording_reviewed": Sentence(
        REQUESTS, _l("%(who)s decided what to give of a recording.")
    ),
    "subject_request.recording_erased": Sentence(
        REQUESTS, _l("%(who)s had a recording deleted for a privacy request.")
    ),
    "subject_request.recording_kept": Sentence(
        REQUESTS, _l("A recording was kept despite a privacy request.")
    ),
    "dispute.stated": Sentence(DIFFERENCES, _l("%(who)s took a step in a difference.")),
    "dispute.call_ordered": Sentence(
        DIFFERENCES, _l("%(who)s requested a call with a code, to listen together.")
    ),
    "dispute.code_created": Sentence(DIFFERENCES, _l("A code was created for an invited person.")),
    "dispute.called": Sentence(DIFFERENCES, _l("An invited person was called with a code.")),
    "dispute.code_tried": Sentence(DIFFERENCES, _l("%(who)s entered the code from the call.")),
    "disputes.erased": Sentence(DIFFERENCES, _l("The differences of the company were deleted.")),
    "catalogue.backed_up": Sentence(SYSTEM, _l("A backup of the catalogue was made.")),
    "catalogue.restored": Sentence(SYSTEM, _l("The catalogue was restored from a backup.")),
    "holds.unconfirmed": Sentence(
        SYSTEM, _l("Nothing is deleted until the recordings kept for a difference are confirmed.")
    ),
    "holds.confirmed": Sentence(SYSTEM, _l("The recordings kept for a difference were confirmed.")),
    "log.restarted": Sentence(SYSTEM, _l("The log was continued after a restore.")),
    "tenant.key_wrapped": Sentence(SYSTEM, _l("The company’s key was re-encrypted.")),
    "tenant.key_changed": Sentence(SYSTEM, _l("The company’s key was changed.")),
    "tenant.key_destroyed": Sentence(SYSTEM, _l("The company’s keys were destroyed.")),
    "usage.counted": Sentence(SYSTEM, _l("The calls of a day were counted.")),
    "tenant.erasure_started": Sentence(SYSTEM, _l("The deletion of all the company’s data began.")),
    "tenant.offboarded": Sentence(SYSTEM, _l("All the company’s data was deleted.")),
}  # fmt: skip
"""By kind of leaf."""

OTHER: Final = Sentence(SYSTEM, _l("An entry that this page cannot describe yet."))
"""For a kind that a newer version of Accord wrote."""


GUEST_CREATED: Final = _l("%(whom)s can take part in a difference.")
"""Of an invited person, to whom nobody gave an account."""


def kinds_of(group: str) -> frozenset[str]:
    """The kinds of leaves in a group; none if there is no such group."""
    return frozenset(kind for kind, each in SENTENCES.items() if each.group == group)


def group(kind: str) -> str:
    """The label of a kind's group."""
    return str(GROUPS[SENTENCES.get(kind, OTHER).group])


def sentence(entry: LogEntry) -> str:
    """What happened."""
    somebody = entry.state in (ERASED, CHANGED)
    who = str(_("Somebody")) if somebody else person(entry.who)
    whom = str(_("somebody")) if somebody or entry.about is None else person(entry.about)
    text = SENTENCES.get(entry.kind, OTHER).text
    if entry.kind == "user.created" and entry.body.get("role") in GUESTS:
        text = GUEST_CREATED
    return str(text) % {"who": who, "whom": whom}


def person(someone: Person | None) -> str:
    """Somebody's name. Whoever works on the command line is the provider, and a leaf names nobody then."""
    if someone is None or someone.kind == "operator":
        return str(_("Your provider"))
    if someone.kind == "system":
        return "Accord"
    if someone.kind == "token":
        return str(_("The program “%(name)s”", name=someone.name))
    if someone.kind == "user" and not someone.name:
        return str(_("Somebody who has left"))
    return someone.name or str(_("Somebody"))
