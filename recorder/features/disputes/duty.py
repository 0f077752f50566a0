"""The worker's duties for disputes: it seals outcomes beside their recordings once their time to think is
over, and drops disputes of whose recordings none is left.

An outcome is sealed in the bucket first, recording by recording, then stated in the dispute, which is closed
with it. After an interruption the work resumes: an outcome that is sealed already is found there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from recorder.auditlog.append import lock_tenant, tenant_lock
from recorder.auditlog.complete_log import complete_log, signed_length
from recorder.catalogue import queries as catalogue
from recorder.catalogue.database import writing
from recorder.errors import AccessError, MailError, RetentionError, SealError
from recorder.features.disputes import queries
from recorder.features.disputes.agreements import AGREEMENT, Agreements
from recorder.features.disputes.erasure import chains_of, erased_dispute
from recorder.features.disputes.outcomes import (
    confirmations,
    content_of,
    is_outcome,
    names_of_confirmers,
)
from recorder.features.disputes.rules import Dispute, Outcome
from recorder.features.disputes.service import Disputes
from recorder.identity import users
from recorder.isolation import isolate_object
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.dispute_erasure import drop_disputes
from recorder.mail.message import MailMessage
from recorder.mail.outbox import Outbox
from recorder.seal.amendment import SYSTEM
from recorder.seal.amendment_kinds import (
    BOTH_SIDES,
    VOUCHED,
    ConsentAdded,
    ConsentWithdrawn,
    DeletionRequested,
    OutcomeAdded,
    PurposesNarrowed,
)
from recorder.seal.data_key import open_data_key, read_wrapped
from recorder.seal.dispute_kinds import OPEN, UNSETTLED, AmendedRecording
from recorder.seal.keyring import Secret, data_key_path, tenant_key_path
from recorder.seal.manifest import Manifest
from recorder.seal.outcome import decrypt_outcome, encrypt_outcome
from recorder.services import Services

MAIL: Final = "dispute_outcome"
"""The kind of mail that tells both sides what they agreed on."""

LIFETIME: Final = timedelta(days=7)

SEARCHED: Final = timedelta(days=60)
"""How far back the log is searched for outcomes that are not sealed yet. An older one is still found by its
row."""

REASONS: Final = {
    BOTH_SIDES: "Both sides of difference {dispute} agreed.",
    VOUCHED: "Agreed in difference {dispute}, where colleagues vouch for the other side.",
}
"""Why a recording is kept for longer, by what its outcome rests on."""

ENDS_AGREEMENT: Final = (ConsentWithdrawn, PurposesNarrowed, DeletionRequested)
"""What one side asks for after both agreed, and before that is sealed: it is not undone by the sealing."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OutcomeDuty:
    """Seals outcomes, signed by the worker; ``outbox`` tells both sides."""

    services: Services
    outbox: Outbox

    def record_due(self, now: datetime) -> int:
        """Seal the outcomes that nobody can change any more; returns how many. One that cannot be sealed is
        reported and delays no other. Raises :class:`recorder.store.contract.Unreachable`."""
        count, by_rows = 0, queries.due_outcomes(now)
        # No row alone delays a sealing: what was confirmed is in the log.
        for tenant, dispute in sorted(by_rows | queries.unsealed_outcomes(now - SEARCHED)):
            with isolate_object(
                self.services.faults, "dispute.outcome_failed", dispute, tenant=tenant, dispute=dispute
            ):
                count += self._record(tenant, dispute, now, by_row=(tenant, dispute) in by_rows)
        return count

    def drop_erased(self, now: datetime) -> int:
        """Drop closed disputes of whose recordings none is left; returns how many. One that only rows say so
        about stays."""
        count = 0
        for tenant, dispute in queries.erased_disputes():
            with isolate_object(
                self.services.faults, "dispute.drop_failed", dispute, tenant=tenant, dispute=dispute
            ):
                self._drop(tenant, dispute, now)
                count += 1
        return count

    def _drop(self, tenant: str, dispute: str, now: datetime) -> None:
        services = self.services
        found = queries.find_dispute(tenant, dispute, services.trust)
        chains = chains_of(found, services.store, services.trust)
        length = signed_length(tenant, services.store, services.root)
        with writing():
            whole = complete_log(lock_tenant(tenant), length)
            erasure = erased_dispute(whole, dispute, chains, services.trust)
            drop_disputes(erasure, now, services.entropy)
        log.info("dispute.dropped", dispute=dispute)

    def _record(self, tenant: str, dispute: str, now: datetime, *, by_row: bool) -> bool:
        services = self.services
        changes = Changes(
            services.store, services.root, services.signer, lambda: now, services.entropy, services.boundary,
            services.revoked,
        )  # fmt: skip
        disputes = Disputes(changes)
        found = disputes.find(tenant, dispute)
        final_at, outcome = queries.final_at(found), found.outcome
        if outcome is None or final_at is None or now < final_at:
            if by_row:
                what = "its row differs from its statements"
                services.faults.report("dispute.not_due", what, dispute, level="error", dispute=dispute)
            return False
        amended = [
            AmendedRecording(each, number)
            for each in found.recording_ids
            if (number := self._seal(changes, found, outcome, each)) is not None
        ]
        services.boundary("outcome sealed")
        with tenant_lock(tenant):
            found = disputes.find(tenant, dispute)  # somebody may have said something meanwhile
            if amended:
                path = Agreements(disputes).record_outcome(found, amended, SYSTEM)
                self._tell(found, outcome, path, now)
            else:
                disputes.end(found, UNSETTLED, SYSTEM)
        services.boundary("outcome stated")
        disputes.lift_holds(found, SYSTEM)
        return True

    def _seal(self, changes: Changes, dispute: Dispute, outcome: Outcome, recording: str) -> int | None:
        """Seal an outcome beside a recording, which is then kept for as long as both sides agreed; returns
        the amendment's number, ``None`` if the recording was destroyed."""
        try:
            number = changes.add_outcome(
                changes.look(dispute.tenant, recording), SYSTEM, partial(self._is_same, dispute, outcome),
                partial(self._make, dispute, outcome),
            )  # fmt: skip
            if outcome.statement.keep_days is not None and outcome.statement.outcome != OPEN:
                self._keep(changes, dispute, recording, outcome)
        except AccessError as error:
            if error.error_id != "access.erased":
                raise
            return None
        return number

    def _is_same(self, dispute: Dispute, outcome: Outcome, data: OutcomeAdded, manifest: Manifest) -> bool:
        """Whether an amendment has an outcome as the dispute's statements have it, its content included. One
        that only claims to is logged as an error, and does not count."""
        if data.dispute != dispute.id:
            return False
        expected = content_of(dispute, outcome, manifest.recording)
        try:
            content = decrypt_outcome(data.content, manifest, self._data_key(manifest))
            same = is_outcome(data, dispute) and content.has_same_facts(expected)
        except SealError:
            same = False
        if not same:
            log.error("dispute.outcome_differs", dispute=dispute.id, recording=manifest.recording)
        return same

    def _make(self, dispute: Dispute, outcome: Outcome, manifest: Manifest) -> OutcomeAdded:
        content = content_of(dispute, outcome, manifest.recording)
        sealed = encrypt_outcome(content, manifest, self._data_key(manifest), self.services.entropy)
        return OutcomeAdded(dispute.id, outcome.sha256, confirmations(dispute, outcome), sealed)

    def _data_key(self, manifest: Manifest) -> Secret:
        store, tenant = self.services.store, manifest.tenant
        tenant_key = read_wrapped(store, tenant_key_path(tenant))
        wrapped = read_wrapped(store, data_key_path(tenant, manifest.recording))
        return open_data_key(store, self.services.keyring, tenant_key, wrapped)

    def _keep(self, changes: Changes, dispute: Dispute, recording: str, outcome: Outcome) -> None:
        keep_days = outcome.statement.keep_days
        basis = dispute.basis_of(user for user, _at in outcome.confirmations)
        assert keep_days is not None
        assert outcome.agreed_at is not None
        assert basis is not None
        reason = REASONS[basis].format(dispute=dispute.id)
        status = changes.look(dispute.tenant, recording)
        for each in status.chain.amendments:
            if isinstance(each.data, ConsentAdded) and each.data.reason == reason:
                return
            if isinstance(each.data, ENDS_AGREEMENT) and each.at >= outcome.agreed_at:
                log.warning("dispute.not_kept", recording=recording, error=f"{each.kind} came after it")
                return
        try:
            changes.agree(status, SYSTEM, purpose=AGREEMENT, keep_days=keep_days, reason=reason, basis=basis)
        except RetentionError as error:  # the country's rules or the plan changed: what was agreed stands
            log.warning("dispute.not_kept", recording=recording, error_id=error.error_id, error=error.message)

    def _tell(self, dispute: Dispute, outcome: Outcome, path: str, now: datetime) -> None:
        """Queue the mail to everybody who confirmed the outcome and has an address."""
        customer = catalogue.tenant(dispute.tenant)
        guests = {each.id: each for each in dispute.guests}
        for user, name in names_of_confirmers(dispute, outcome).items():
            guest, person = guests.get(user), users.user(dispute.tenant, user)
            address = guest.address if guest else person.login if person else None
            language = guest.language if guest else person.language if person else "en"
            if address is None:
                continue
            values = {"name": name, "customer": customer.name if customer else "", "subject": dispute.subject}
            message = MailMessage(MAIL, language, values, path, LIFETIME)
            try:
                self.outbox.enqueue(dispute.tenant, address, message, now, self.services.entropy, about=user)
            except MailError as error:  # a log-in that is no address
                log.info("dispute.mail_failed", user=user, error_id=error.error_id)
