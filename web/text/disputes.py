"""Differences, and listening together, in the reader's language.

The wording takes no side: nobody is right or wrong, and nothing is proved (docs/reference/words.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from recorder.domain.live_command import DONE
from recorder.domain.roles import NEUTRAL, SUPPORT
from recorder.errors import AccordError
from recorder.features.disputes.rules import Dispute, Guest
from recorder.seal.amendment_kinds import ACCOUNT, CODE, PEOPLE
from recorder.seal.dispute_kinds import (
    ACCEPTED,
    ANEW,
    AS_AGREED,
    DECLINED,
    OPEN,
    SETTLED,
    WITHDRAWN,
    DisputeClosed,
    DisputeOpened,
    ErasureOrdered,
    GuestAgreed,
    GuestAnswered,
    GuestEnded,
    GuestEntered,
    GuestInvited,
    GuestVerified,
    GuestVouched,
    OrderConfirmed,
    OutcomeConfirmed,
    OutcomeRecorded,
    OutcomeRetracted,
    OutcomeWritten,
    PassageConfirmed,
    PassageLeftOpen,
    PassageMarked,
    PassageWorded,
    Rescheduled,
)
from recorder.seal.dispute_statement import DisputeStatement
from recorder.verification_calls.register import VerificationCall
from web.text import errors, formats

OUTCOMES: Final[Mapping[str, object]] = {
    AS_AGREED: _l("We go on as agreed"),
    ANEW: _l("We agree anew"),
    OPEN: _l("We leave it open"),
}
"""How the two sides go on."""

ROLES: Final[Mapping[str, object]] = {
    NEUTRAL: _l("A person you both trust"),
    SUPPORT: _l("Your provider’s support"),
}
"""Who can help."""

CONFIRMED_HOW: Final[Mapping[str, object]] = {
    ACCOUNT: _l("logged in"),
    CODE: _l("recognised by a code given to the number in the call"),
    PEOPLE: _l("recognised by two people who know them"),
}
"""How it is known who confirmed something."""

CHECK_SIGNED: Final = _l("Signed, and unchanged since: the signature is valid, and the log has it.")
CHECK_CONFIRMED: Final = _l("Both sides confirmed this same text.")
CHECK_VOUCHED: Final = _l(
    "This same text was confirmed. Two people of the company vouch for the invited person, so it does not "
    "count as agreed by both."
)
CHECK_SEALED: Final = _l("The same text is sealed beside the recording.")
CHECK_ERASED: Final = _l("The recording has been deleted since.")
CHECK_AWAY: Final = _l("The storage cannot be reached right now, so the seal was not checked.")
CHECK_DIFFERS: Final = _l("The text sealed beside the recording differs.")

KEEP_DAYS: Final[Mapping[int, object]] = {
    365: _l("one year from the call"),
    730: _l("two years from the call"),
    1826: _l("five years from the call"),
    3653: _l("ten years from the call"),
}


def keep_choices(days: Iterable[int]) -> list[tuple[str, str]]:
    """How long a call can be kept after an outcome, as the options of a field."""
    return [("", str(_("as long as announced"))), *((str(each), str(KEEP_DAYS[each])) for each in days)]


def parse_clock(entry: str) -> int | None:
    """A place in a recording, such as ``42``, ``0:42`` or ``1:02:03.5``, in milliseconds; ``None`` if it is
    none."""
    found = re.fullmatch(
        r"(?:(?:(\d{1,2}):)?(\d{1,3}):)?(\d{1,5})(?:[.,](\d{1,3}))?", entry.strip(), re.ASCII
    )
    if found is None:
        return None
    hours, minutes, seconds, rest = found.groups(default="0")
    if found.group(2) is not None and int(seconds) >= 60:
        return None
    return (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * 1000 + int(rest.ljust(3, "0"))


FIELDS: Final = (
    "subject", "settle_by", "name", "times", "language", "address", "code", "reason", "begin", "text",
    "outcome", "keep_days", "passages", "authority", "call",
)  # fmt: skip
"""The fields of the forms that can be wrong."""


def field_errors(error: AccordError) -> dict[str, str]:
    """The sentence about a refusal, by its field."""
    return {errors.field(error.error_id, FIELDS) or "form": errors.error(error.error_id, "dispute")}


def notice(
    dispute: Dispute,
    guest: Guest,
    *,
    customer: str,
    hearers: str,
    purposes: str,
    waits: datetime | None = None,
) -> tuple[str, ...]:
    """What a guest is told before they answer. The hash of these sentences is signed with the answer.
    ``waits`` is the last day up to which a deletion waits once they take part."""
    shared = (
        _("You may say no. That has no consequences here."),
        _("These people will hear it: %(names)s. The log notes that you listened.", names=hearers),
        _("It is used only for: %(purposes)s.", purposes=purposes),
    )
    leave = _("You can leave at any time. What you say to each other meanwhile is not recorded here.")
    if guest.is_third_party:
        return (
            _(
                "%(customer)s and another person remember a call differently: %(subject)s",
                customer=customer,
                subject=dispute.subject,
            ),
            _("They would like you to listen to a few passages with them. It takes about ten minutes."),
            *shared,
            _("You can listen once the other person has agreed."),
            leave,
        )
    known_by = (
        _(
            "Before you hear it, we make sure that you are the person in this call: we call "
            "%(number)s and give you a code, or two people at %(customer)s who know you confirm it.",
            number=formats.number(guest.number),
            customer=customer,
        )
        if guest.number
        else _(
            "Before you hear it, two people at %(customer)s who know you confirm that you are the person in "
            "this call.",
            customer=customer,
        )
    )
    return (
        _(
            "You and %(customer)s remember this call differently: %(subject)s",
            customer=customer,
            subject=dispute.subject,
        ),
        _("Shall we listen to it together? It takes about ten minutes."),
        *shared,
        known_by,
        *(() if waits is None else (_deletion_notice(waits, customer),)),
        leave,
    )


def _deletion_notice(until: datetime, customer: str) -> str:
    """That nobody has the recording deleted alone, until when, and how to ask for more."""
    alone = _(
        "Once you take part, neither side can have the recording deleted alone: it stays until a week after "
        "the way forward is sealed, until %(date)s at the latest.",
        date=formats.date(until),
    )
    more = _(
        "If you need the recording for longer, write to %(customer)s before that day.", customer=customer
    )
    return f"{alone} {more}"


STEPS: Final[Mapping[type, object]] = {
    DisputeOpened: _l("%(who)s opened the difference."),
    GuestVouched: _l("%(who)s vouched for %(whom)s."),
    PassageMarked: _l("%(who)s marked a passage."),
    PassageWorded: _l("%(who)s reworded a passage."),
    PassageConfirmed: _l("%(who)s confirmed a passage."),
    PassageLeftOpen: _l("%(who)s left a passage open."),
    OutcomeWritten: _l("%(who)s wrote down the way forward."),
    OutcomeConfirmed: _l("%(who)s confirmed the way forward."),
    OutcomeRetracted: _l("%(who)s withdrew the confirmation."),
    OutcomeRecorded: _l("The way forward was sealed beside the recording."),
    OrderConfirmed: _l("%(who)s confirmed the authority’s order."),
}
"""What happened, for kinds of statements that need no further look."""


def step(statement: DisputeStatement, names: Mapping[str, str], *, renewed: bool = False) -> str:
    """What happened in a difference. ``names`` are those of its people by id; ``renewed``: an invitation was
    sent again."""
    data = statement.data
    who = names.get(statement.by.id or "", str(_("Somebody")))
    whom = names.get(getattr(data, "guest", ""), str(_("Somebody")))
    text = STEPS.get(type(data))
    if isinstance(data, Rescheduled):
        day = formats.date(datetime.combine(data.settle_by, datetime.min.time()))
        return str(_("%(who)s set another date: %(date)s.", who=who, date=day))
    if isinstance(data, ErasureOrdered):
        return str(
            _(
                "%(who)s entered an authority’s order: %(authority)s, %(reference)s.",
                who=who,
                authority=data.authority,
                reference=data.reference,
            )
        )
    if isinstance(data, GuestEntered):
        return str(_("%(who)s of support joined: %(reason)s", who=data.name, reason=data.reason))
    if isinstance(data, GuestInvited):
        text = _invited(data, renewed)
    elif isinstance(data, GuestAnswered):
        text = _l("%(whom)s accepted.") if data.answer == ACCEPTED else _l("%(whom)s declined.")
    elif isinstance(data, GuestAgreed):
        text = (
            _l("%(who)s lets %(whom)s listen to the passages.")
            if data.answer == ACCEPTED
            else _l("%(who)s does not want %(whom)s to listen.")
        )
    elif isinstance(data, GuestVerified):
        text = (
            _l("%(whom)s gave the code from the call to their number.")
            if data.how == CODE
            else _l("Two colleagues have vouched for %(whom)s.")
        )
    elif isinstance(data, GuestEnded):
        text = (
            _l("%(who)s withdrew the invitation to %(whom)s.")
            if data.how == WITHDRAWN
            else _l("%(whom)s left.")
        )
    elif isinstance(data, DisputeClosed):
        text = _closed(data)
    return str(text) % {"who": who, "whom": whom}


def listened(who: str, heard_ms: int | None) -> str:
    """That somebody listened, and how much of it their player reports as played."""
    if heard_ms is None:
        return str(_("%(who)s listened.", who=who))
    return str(_("%(who)s listened: %(duration)s.", who=who, duration=formats.duration(heard_ms)))


def _invited(data: GuestInvited, renewed: bool) -> object:
    if data.role == SUPPORT:
        return _l("%(who)s asked support to help.")
    if renewed:
        return _l("%(who)s sent %(whom)s a new invitation.")
    if data.address is None:
        return _l("%(who)s created an invitation for %(whom)s.")
    return _l("%(who)s invited %(whom)s by email.")


def _closed(data: DisputeClosed) -> object:
    if data.how == SETTLED:
        return _l("%(who)s closed the difference: both go on from what was agreed.")
    return _l("%(who)s closed the difference.")


def deadline(dispute: Dispute, today: date) -> str:
    """By when a dispute is to be settled, or was to be; without a full stop."""
    day = formats.date(dispute.settle_by)
    if dispute.settle_by < today:
        return str(_("Was to be settled by %(date)s", date=day))
    return str(_("To be settled by %(date)s", date=day))


def guest_state(guest: Guest, now: datetime) -> tuple[str, str]:
    """How far a guest is, and the kind of its badge."""
    if guest.ended_at is not None:
        return str(_("Withdrawn") if guest.ended_how == WITHDRAWN else _("Has left")), ""
    if guest.is_third_party and guest.agreement != ACCEPTED:
        waits = guest.agreement is None
        return str(
            _("Waiting for the other person’s consent") if waits else _("The other person said no")
        ), "warn"
    if guest.may_hear:
        return str(_("Takes part")), "good"
    if guest.role == SUPPORT:
        return str(_("Asked to help")), "warn"
    if guest.takes_part:
        return str(_("Accepted; still to be recognised")), "warn"
    if guest.answer == DECLINED:
        return str(_("Said no")), ""
    if now >= guest.until:
        return str(_("The invitation has expired")), "wrong"
    return str(_("Invited")), "warn"


def call_result(call: VerificationCall, time: str) -> str:
    """What came of a guest's call with a code; ``time`` is until when that is valid."""
    if call.outcome is None:
        return str(_("Your telephone will ring in a moment."))
    if call.outcome == DONE:
        return str(_("You were given a code. It is valid until %(time)s.", time=time))
    return str(_("The call did not get through. Try again."))


def recognition(guest: Guest) -> str:
    """How it was established that a guest is the person in the call."""
    if guest.verified_how == CODE:
        return str(_("The number in the call was called, and the person gave the code."))
    return str(
        _("Two colleagues vouched for the person. What is confirmed here rests on your company’s word alone.")
    )
