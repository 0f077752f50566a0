"""Tells both sides of a dispute what the others did in it: in the panel, and by mail.

What there is to tell follows from the statements, so a new kind of statement is told as well. A mail says in
a sentence what happened, never what somebody wrote. All of it can be repeated: a row has how far each person
was told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from babel.dates import format_date, format_datetime

from recorder.auditlog.append import tenant_lock
from recorder.catalogue import queries as catalogue
from recorder.catalogue.offboarding_progress import is_being_erased
from recorder.catalogue.records import TenantRow, UserRow
from recorder.domain import time_zones
from recorder.domain.roles import ADMIN, OWN_SIDE, SUPPORT
from recorder.domain.written_dates import write_first
from recorder.errors import DisputeError, MailError, SealError
from recorder.features.disputes import queries
from recorder.features.disputes.rules import Dispute, Guest
from recorder.features.disputes.service import Disputes
from recorder.features.disputes.steps import StepWriter, is_renewal
from recorder.identity import users
from recorder.identity.account_mail import LOCALES
from recorder.isolation import isolate_object
from recorder.lifecycle.amendment_service import Changes
from recorder.mail.message import MailMessage, MailSection, one_line
from recorder.mail.outbox import Outbox
from recorder.seal.amendment import SYSTEM
from recorder.seal.dispute_kinds import (
    CLOSED,
    ERASURE_ORDERED,
    GUEST_AGREED,
    GUEST_VERIFIED,
    GUEST_VOUCHED,
    RESCHEDULED,
    GuestEntered,
)
from recorder.seal.dispute_statement import DisputeStatement
from recorder.services import Services

MAIL: Final = "dispute_news"
"""The kind of mail to the customer's people, and what they choose to be told by."""

GUEST_MAIL: Final = "dispute_guest_news"

PAUSE: Final = timedelta(minutes=15)
"""The least time between two mails to a person about a dispute: what happens meanwhile is in the second."""

LATEST: Final = timedelta(days=1)
"""How old a step may be to be told: after an outage, a mail does not tell what has long been seen."""

FOR_EVERY_GUEST: Final = (CLOSED, RESCHEDULED)
"""What guests are told who may not listen yet; all the rest says what is heard and written."""

ABOUT_THEMSELVES: Final = (GUEST_AGREED, GUEST_VERIFIED)
"""What a guest is told about themselves; their invitation and its end have mails of their own, or none."""

NO_PART: Final = (GUEST_VOUCHED, GUEST_VERIFIED)
"""What a colleague does as a favour: who recognised a guest does not yet take part."""

log = structlog.get_logger()

Present = Callable[[str, str, str], bool]
"""Whether somebody is in a room: the ids of the customer, the dispute and the person."""

ByMail = Callable[[str, str], bool]
"""Whether one of the customer's people wants these mails: the ids of the customer and the person."""


def news_for(dispute: Dispute, user: str, since: datetime) -> tuple[DisputeStatement, ...]:
    """What one of a dispute's people is told of the steps since a time: what others did after their own last
    step, which they made with the rest before their eyes."""
    guest = next((each for each in dispute.guests if each.id == user), None)
    own = max((each.number for each in dispute.statements if each.by.id == user), default=0)
    return tuple(
        each
        for each in dispute.statements
        if each.number > max(own, 1)
        and each.at >= since
        and each.by.kind != SYSTEM.kind  # an outcome that was sealed has a mail of its own
        and (guest is None or _concerns(guest, each))
    )


def _concerns(guest: Guest, statement: DisputeStatement) -> bool:
    """Whether a guest is told of a step: one who takes part, of what they may hear and see."""
    if not guest.takes_part or guest.role == SUPPORT:
        return False
    if getattr(statement.data, "guest", "") == guest.id:
        return statement.kind in ABOUT_THEMSELVES
    if statement.kind in FOR_EVERY_GUEST:
        return True
    return guest.may_hear and not guest.is_third_party and statement.kind != ERASURE_ORDERED


@dataclass(frozen=True, slots=True)
class _Reader:
    """Somebody who is told; ``address`` is ``None`` for a guest whom no mail reaches."""

    user: str
    name: str
    address: str | None
    language: str
    is_guest: bool


@dataclass(frozen=True, slots=True)
class NewsDuty:
    """Tells what is new in disputes, mailed by ``outbox``."""

    services: Services
    outbox: Outbox
    is_present: Present
    by_mail: ByMail

    def tell_due(self, now: datetime) -> int:
        """Tell what has happened, and queue the mails that are due; returns how many. A dispute that cannot
        be read is reported and delays no other."""
        mails = 0
        for tenant, dispute in queries.disputes_with_news(now):
            with isolate_object(
                self.services.faults, "dispute.news_failed", dispute, tenant=tenant, dispute=dispute
            ):
                mails += self._tell(tenant, dispute, now)
                self.services.boundary("news told")
        return mails

    def _tell(self, tenant: str, dispute: str, now: datetime) -> int:
        mails, later = 0, list[datetime]()
        customer = catalogue.tenant(tenant)
        with tenant_lock(tenant):
            if customer is None or is_being_erased(tenant):
                queries.note_news_time(dispute, None)
                return 0
            found = queries.find_dispute(tenant, dispute, self.services.trust)
            marks = queries.news_marks(tenant, dispute)
            for reader in self._readers(found):
                news = news_for(found, reader.user, now - LATEST)
                mark = marks.get(reader.user)
                if not news or (mark is not None and mark.mailed >= news[-1].number):
                    continue
                last_mail = None if mark is None else mark.mailed_at
                mailed = 0 if mark is None else mark.mailed
                if self._is_mailed(found, reader):
                    if last_mail is not None and last_mail <= now < last_mail + PAUSE:
                        later.append(last_mail + PAUSE)
                    else:
                        unmailed = [each for each in news if each.number > mailed]
                        mails += self._mail(found, customer, reader, unmailed, now)
                        mailed, last_mail = news[-1].number, now
                else:
                    mailed = news[-1].number
                queries.note_news(found, reader.user, news[-1], mailed=mailed, mailed_at=last_mail)
            queries.note_news_time(dispute, min(later, default=None))
        return mails

    def _is_mailed(self, dispute: Dispute, reader: _Reader) -> bool:
        if reader.address is None or self.is_present(dispute.tenant, dispute.id, reader.user):
            return False
        return reader.is_guest or self.by_mail(dispute.tenant, reader.user)

    def _readers(self, dispute: Dispute) -> list[_Reader]:
        """Who is told: the guests who take part, and those of the customer's people who did something in the
        dispute and still handle it, or else the admins who do."""
        guests = [
            _Reader(each.id, each.name, each.address, each.language, is_guest=True)
            for each in dispute.guests
            if each.takes_part and each.role != SUPPORT
        ]
        people = users.users(dispute.tenant)
        authors = {each.by.id for each in dispute.statements if each.kind not in NO_PART}
        recipients = [each for each in people if each.id in authors and self._handles(each, dispute)] or [
            each for each in people if each.role == ADMIN and self._handles(each, dispute)
        ]
        own = [_Reader(each.id, each.name, each.login, each.language, is_guest=False) for each in recipients]
        return guests + own

    def _handles(self, person: UserRow, dispute: Dispute) -> bool:
        """Whether somebody handles a dispute, and their row is as it was signed: a row alone is told
        nothing."""
        if person.revoked_at is not None or dispute.side_of(person.id) != OWN_SIDE:
            return False
        try:
            self._disputes().check_handler(person, dispute)
            users.require_signed(person, self.services.trust)
        except DisputeError:
            return False
        except SealError as error:
            log.error("notification.recipient_refused", user=person.id, error_id=error.error_id)
            return False
        return True

    def _disputes(self) -> Disputes:
        own = self.services
        return Disputes(
            Changes(own.store, own.root, own.signer, own.now, own.entropy, own.boundary, own.revoked)
        )

    def _mail(
        self,
        dispute: Dispute,
        customer: TenantRow,
        reader: _Reader,
        news: list[DisputeStatement],
        now: datetime,
    ) -> bool:
        """Queue a mail about some steps; false where none is sent."""
        write, names = _writer(reader.language, customer.time_zone), _names(dispute)
        steps = (write.write(each, names, renewed=is_renewal(dispute, each)) for each in news)
        values = {"name": reader.name, "customer": customer.name, "subject": dispute.subject}
        path = f"/together/{dispute.id}"
        if reader.is_guest:  # a closed question has no page for them any more
            path = "/together/welcome" if dispute.closed_at is None else ""
        message = MailMessage(
            GUEST_MAIL if reader.is_guest else MAIL, reader.language, values, path, LATEST,
            tuple(MailSection(one_line(each, 300)) for each in dict.fromkeys(steps)),
        )  # fmt: skip
        assert reader.address is not None
        try:
            return self.outbox.enqueue(
                dispute.tenant, reader.address, message, now, self.services.entropy,
                about=reader.user, replaces=False,
            )  # fmt: skip
        except MailError as error:  # a log-in that is no address
            log.info("dispute.mail_failed", user=reader.user, error_id=error.error_id)
            return False


def _writer(language: str, time_zone: str) -> StepWriter:
    """Writes steps with times in the customer's zone."""
    zone, locale = time_zones.display_zone(time_zone), LOCALES.get(language, language)
    return StepWriter(
        language,
        lambda day: write_first(format_date(day, "long", locale=locale), language),
        lambda at: write_first(
            format_datetime(at, "d MMMM yyyy, HH:mm", tzinfo=zone, locale=locale), language
        ),
    )


def _names(dispute: Dispute) -> dict[str, str]:
    """The names of those who did something in a dispute, by id."""
    entries = {
        str(each.by.id): each.data.name for each in dispute.statements if isinstance(each.data, GuestEntered)
    }
    people = {each.id: each.name for each in users.users(dispute.tenant)}
    return people | entries | {each.id: each.name for each in dispute.guests}
