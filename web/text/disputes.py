"""Disputes, and listening together, in the reader's language.

The wording takes no side: nobody is right or wrong, and nothing is proved (docs/reference/words.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Final

from flask_babel import gettext as _

from recorder.domain.roles import SUPPORT
from recorder.errors import AccordError
from recorder.features.disputes.rules import Dispute, Guest
from recorder.features.disputes.steps import StepWriter, is_renewal
from recorder.seal.dispute_kinds import ACCEPTED, DECLINED, WITHDRAWN
from recorder.seal.dispute_statement import DisputeStatement
from web.language import reader_locale
from web.text import errors, formats
from web.text.sentences import sentence


def keep_choices(days: Iterable[int]) -> list[tuple[str, str]]:
    """How long a call can be kept after an outcome, as the options of a field."""
    return [(each, sentence("keep_time", each)) for each in ("", *map(str, days))]


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
    customer_and_subject = {"customer": customer, "subject": dispute.subject}
    shared = (
        sentence("notice", "may_refuse"),
        sentence("notice", "hearers", names=hearers),
        sentence("notice", "purposes", purposes=purposes),
    )
    if guest.is_third_party:
        return (
            sentence("notice", "third_party", **customer_and_subject),
            sentence("notice", "third_party_listens"),
            *shared,
            sentence("notice", "third_party_waits"),
            sentence("notice", "leave"),
        )
    known_by = (
        sentence("notice", "known_by_call", number=formats.number(guest.number), customer=customer)
        if guest.number
        else sentence("notice", "known_by_people", customer=customer)
    )
    return (
        sentence("notice", "subject", **customer_and_subject),
        sentence("notice", "listens"),
        *shared,
        known_by,
        *(() if waits is None else (_deletion_notice(waits, customer),)),
        sentence("notice", "leave"),
    )


def _deletion_notice(until: datetime, customer: str) -> str:
    """That nobody has the recording deleted alone, until when, and how to ask for more."""
    alone = sentence("notice", "deletion_waits", date=formats.date(until))
    return f"{alone} {sentence('notice', 'longer', customer=customer)}"


def step(dispute: Dispute, statement: DisputeStatement, names: Mapping[str, str]) -> str:
    """What happened in a dispute. ``names`` are those of its people by id."""
    writer = StepWriter(reader_locale().language, formats.date, formats.moment)
    return writer.write(statement, names, renewed=is_renewal(dispute, statement))


def listened(who: str, heard_ms: int | None) -> str:
    """That somebody listened, and how much of it their player reports as played."""
    if heard_ms is None:
        return str(_("%(who)s listened.", who=who))
    return str(_("%(who)s listened: %(duration)s.", who=who, duration=formats.duration(heard_ms)))


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
        return str(_("No, not confirmed")), ""
    if now >= guest.until:
        return str(_("The invitation has expired")), "wrong"
    return str(_("Invited")), "warn"
