"""Opens, follows and closes disputes: two sides of a call remember it differently, and listen together.

Each step is a signed statement with its leaf (:mod:`recorder.seal.dispute_statement`), written in one
transaction with what follows from it. A dispute puts its recordings on legal hold, so that they last as long
as it does. Who takes part is in :mod:`recorder.features.disputes.invitations`, what the two sides say in
:mod:`recorder.features.disputes.agreements`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import structlog

from recorder.auditlog.append import tenant_lock
from recorder.catalogue import queries as catalogue
from recorder.catalogue.records import RecordingRow, UserRow
from recorder.domain.roles import (
    ADMIN,
    CUSTOMER,
    EXTERNAL_PARTY,
    GUESTS,
    THIRD_PARTIES,
)
from recorder.errors import AccordError, DisputeError
from recorder.features.disputes import queries, rules, texts
from recorder.features.disputes.rules import Dispute, Guest
from recorder.identity import users
from recorder.ids import uuid7
from recorder.lifecycle.amendment_service import LONGEST_REVIEW, Changes, RecordingStatus
from recorder.mail.outbox import drop_mail
from recorder.prompts.purposes import standard
from recorder.seal.amendment import By
from recorder.seal.dispute_kinds import (
    CLOSED_HOW,
    UNSETTLED,
    DisputeClosed,
    DisputeData,
    DisputeOpened,
    HeldRecording,
    Rescheduled,
)
from recorder.seal.dispute_statement import next_statement, read, write

LONGEST: Final = timedelta(days=180)
"""How far away the day may be by which a dispute is to be settled."""

HANDLERS: Final = (ADMIN, CUSTOMER)
"""Roles that open and handle disputes, and vouch for guests."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Disputes:
    """Disputes, by statements that the signer of ``changes`` signs.

    Methods take the customer's id first, and raise :class:`DisputeError` (as listed, and what
    :func:`recorder.features.disputes.rules.follow` refuses), :class:`SealError` for a dispute that is not as
    it was signed and logged, and for a key that is not endorsed for it."""

    changes: Changes

    def find(self, tenant: str, dispute: str) -> Dispute:
        """A customer's dispute. Raises ``dispute.not_found``."""
        return queries.find_dispute(tenant, dispute, self.changes.trust)

    def open(self, person: UserRow, recordings: Sequence[str], *, subject: str, settle_by: date) -> Dispute:
        """Open a dispute about some recordings, which are put on legal hold for it; the person handles it.
        Raises ``dispute.may_not`` (auditors, and colleagues who do not see a call), ``dispute.subject``,
        ``dispute.day``, ``dispute.recordings`` (none, or too many), ``dispute.not_announced`` (one of them
        cannot be kept for a dispute), and as :meth:`Changes.hold`."""
        subject = texts.check_subject(subject)
        self._check_day(settle_by)
        ids = tuple(dict.fromkeys(recordings))
        if not 1 <= len(ids) <= rules.MOST_RECORDINGS:
            raise DisputeError(
                "dispute.recordings",
                f"a dispute is about 1 to {rules.MOST_RECORDINGS} recordings",
                "choose fewer",
            )
        statuses = [self.changes.look(person.tenant, each) for each in ids]
        for status in statuses:
            _check_handler(person, status.row)
        purposes = _shared_purposes(statuses)
        by, recordings_held = By("user", person.id), list[HeldRecording]()
        try:
            for each in ids:
                hold = self._hold(person, each, purposes, subject, settle_by)
                recordings_held.append(HeldRecording(each, hold))
            now, entropy = self.changes.now(), self.changes.entropy
            with tenant_lock(person.tenant):
                data = DisputeOpened(tuple(recordings_held), subject, settle_by, purposes)
                return self.state(None, person.tenant, str(uuid7(now, entropy)), by, data)
        except AccordError:
            for one in recordings_held:
                self._lift(person.tenant, one, by, "the difference was not opened")
            raise

    def reschedule(self, person: UserRow, dispute: str, settle_by: date) -> None:
        """Set another day by which it is to be settled. Raises ``dispute.day``, ``dispute.may_not``."""
        self._check_day(settle_by)
        with tenant_lock(person.tenant):
            found = self.find_handled(person, dispute)
            self.state(found, found.tenant, found.id, By("user", person.id), Rescheduled(settle_by))

    def close(self, person: UserRow, dispute: str, how: str = UNSETTLED) -> None:
        """Close a dispute: no guest takes part any more, and its holds are lifted. Raises
        ``dispute.may_not``, ``dispute.outcome_waits`` (both sides have agreed on an outcome: it closes by
        itself)."""
        if how not in CLOSED_HOW:
            raise DisputeError(
                "dispute.how",
                f"{how!r} is not a way to close a dispute",
                "reload the page and choose how it ends",
            )
        by = By("user", person.id)
        with tenant_lock(person.tenant):
            found = self.find_handled(person, dispute)
            if found.outcome is not None and found.outcome.agreed_at is not None:
                raise DisputeError(
                    "dispute.outcome_waits",
                    "both sides have agreed on an outcome, which is sealed the next day",
                    "wait until the outcome is sealed, or have one side retract it",
                )
            self.end(found, how, by)
        self.lift_holds(found, by)

    def lift_holds(self, dispute: Dispute, by: By) -> None:
        """Lift the holds of a closed dispute."""
        for each in dispute.recordings:
            self._lift(dispute.tenant, each, by, "the difference was closed")

    @staticmethod
    def check_handler(person: UserRow, dispute: Dispute) -> None:
        """Refuse a person who may not handle a dispute: auditors, and colleagues who do not see all of its
        calls. Raises ``dispute.may_not``."""
        for recording in dispute.recording_ids:
            row = catalogue.recording(dispute.tenant, recording)
            if row is not None:
                _check_handler(person, row)

    @staticmethod
    def may_hear(person: UserRow, dispute: Dispute) -> bool:
        """Whether one of the customer's people may hear a dispute's recordings: admins, and whoever opened
        it, as the legal hold says."""
        return Disputes._may_handle(person, dispute) and (
            person.role == ADMIN or person.id == dispute.opened_by.id
        )

    def is_alone(self, person: UserRow, dispute: Dispute) -> bool:
        """Whether nobody else of the customer's people could vouch for a guest beside this person, by their
        rows: for what a page says (:mod:`recorder.features.disputes.sole_handler` decides)."""
        others = [each for each in users.users(dispute.tenant) if each.id != person.id]
        return not any(self._may_handle(each, dispute) for each in others)

    @staticmethod
    def _may_handle(person: UserRow, dispute: Dispute) -> bool:
        try:
            Disputes.check_handler(person, dispute)
        except DisputeError:
            return False
        return person.revoked_at is None

    def say(self, person: UserRow, dispute: str, data: DisputeData) -> None:
        """State what one of the two sides says. Raises ``dispute.may_not``, ``dispute.no_guest``,
        ``dispute.not_theirs``."""
        with tenant_lock(person.tenant):
            found = self.find(person.tenant, dispute)
            if person.role in GUESTS:
                found.find_guest(person.id)
            else:
                self.check_handler(person, found)
            self.state(found, found.tenant, found.id, By("user", person.id), data)

    # --- steps, inside the caller's transaction, which has locked the customer

    def find_handled(self, person: UserRow, dispute: str) -> Dispute:
        """A dispute that this person handles. Raises ``dispute.not_found``, ``dispute.may_not``."""
        found = self.find(person.tenant, dispute)
        self.check_handler(person, found)
        return found

    def state(self, before: Dispute | None, tenant: str, dispute: str, by: By, data: DisputeData) -> Dispute:
        """Sign a statement and add it, with what follows from it in the indexes."""
        now, changes = self.changes.now(), self.changes
        statement = next_statement(tenant, dispute, before.statements if before else (), data, by, now)
        rules.follow(before, statement)  # before anything is signed
        signed = write(statement, changes.signer)
        statement = read(signed, changes.trust)
        found = rules.follow(before, statement)
        queries.add_statement(statement, signed, now, changes.entropy)
        queries.index_dispute(found)
        log.info("dispute.stated", dispute=dispute, number=statement.number, kind=statement.kind)
        return found

    def end(self, dispute: Dispute, how: str, by: By) -> None:
        """Close a dispute, and end its guests' access."""
        self.state(dispute, dispute.tenant, dispute.id, by, DisputeClosed(how))
        for guest in dispute.guests:
            self.end_access(dispute, guest, by)

    def end_access(self, dispute: Dispute, guest: Guest, by: By) -> None:
        """End a guest's user, sessions, grants and waiting mail; support has no user of the customer's."""
        drop_mail(dispute.tenant, guest.id)
        users.revoke_user(
            dispute.tenant, guest.id, now=self.changes.now(), entropy=self.changes.entropy, by=by
        )

    # --- legal holds

    def _hold(
        self, person: UserRow, recording: str, purposes: Sequence[str], subject: str, settle_by: date
    ) -> int:
        now = self.changes.now()
        review = datetime.combine(settle_by, datetime.min.time(), now.tzinfo) + timedelta(days=1)
        return self.changes.hold(
            self.changes.look(person.tenant, recording), By("user", person.id), owner=person.id,
            purposes=purposes, reason=subject, review_at=min(review, now + LONGEST_REVIEW),
            roles=(ADMIN, EXTERNAL_PARTY, *THIRD_PARTIES),
        )  # fmt: skip

    def _lift(self, tenant: str, recording: HeldRecording, by: By, reason: str) -> None:
        """Lift a hold of a dispute. One that somebody lifted before is none; where the store is away, the
        hold stays and is due for review, which admins are told."""
        try:
            current = self.changes.look(tenant, recording.recording)
            self.changes.lift(current, by, hold=recording.hold, reason=reason)
        except AccordError as error:
            log.warning(
                "dispute.hold_stays", recording=recording.recording, hold=recording.hold,
                error_id=error.error_id, error=error.message,
            )  # fmt: skip

    # --- checks

    def _check_day(self, settle_by: date) -> None:
        today = self.changes.now().date()
        if not today <= settle_by <= today + LONGEST:
            raise DisputeError(
                "dispute.day", f"{settle_by} is not within {LONGEST.days} days", "choose a nearer day"
            )


def _check_handler(person: UserRow, row: RecordingRow) -> None:
    if person.role not in HANDLERS or (person.lines is not None and row.line not in person.lines):
        raise DisputeError(
            "dispute.may_not",
            f"user {person.id} does not handle this call",
            "the user who opened it, or an admin, decides",
        )


def _shared_purposes(statuses: Sequence[RecordingStatus]) -> tuple[str, ...]:
    """The purposes that all of some recordings can be kept for in a dispute, and that the person who was
    recorded may listen for. Raises :class:`DisputeError` (``dispute.not_announced``)."""
    known = standard()
    shared = [
        code
        for code in statuses[0].may_hold()
        if all(code in each.may_hold() for each in statuses) and EXTERNAL_PARTY in known[code].roles
    ]
    if not shared:
        raise DisputeError(
            "dispute.not_announced",
            "no purpose was announced for which the call can be heard together",
            "no dispute about this call is possible; announce such a purpose for future calls",
        )
    return tuple(shared)
