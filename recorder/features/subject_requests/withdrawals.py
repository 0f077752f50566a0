"""The worker's duty for consent that people withdrew on the page of their own call: three days later it ends
what rests on it, unless they took it back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from recorder.catalogue.subject_request_queries import open_withdrawals
from recorder.errors import AccessError, RetentionError, SubjectRequestError
from recorder.features.subject_requests import service
from recorder.features.subject_requests.rules import WAIT
from recorder.features.subject_requests.service import WithdrawalRequest
from recorder.isolation import isolate_object
from recorder.lifecycle.amendment_service import Changes
from recorder.seal.amendment import By
from recorder.services import Services

NOTHING_LEFT = frozenset({"retention.not_by_consent", "access.erased"})
"""Reasons that mean that nothing rests on the consent any more."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WithdrawalDuty:
    """Withdraws consent, signed by the worker."""

    services: Services

    def record_due(self, now: datetime) -> int:
        """Withdraw what is due; returns how many requests were answered. One that fails is reported, and
        delays no other. Raises :class:`recorder.store.contract.Unreachable`."""
        count = 0
        for row in open_withdrawals(now - WAIT):
            with isolate_object(
                self.services.faults,
                "subject_request.withdrawal_failed",
                row.id,
                tenant=row.tenant,
                request=row.id,
            ):
                found = service.find_withdrawal_request(row.tenant, row.id, now)
                count += withdraw_consent(self._changes(), found)
        return count

    def _changes(self) -> Changes:
        own = self.services
        return Changes(own.store, own.root, own.signer, own.now, own.entropy, revoked=own.revoked)


def withdraw_consent(changes: Changes, request: WithdrawalRequest) -> bool:
    """End what rests on the consent of a request's person, and close the request; false if somebody else has
    closed it meanwhile. Can be repeated. Raises as :meth:`Changes.withdraw`."""
    recording, who = request.row.recording or "", By("user", request.row.entered_by)
    try:
        status = changes.look(request.tenant, recording)
        reason = f"withdrawn by the person who was recorded: request {request.id}"
        changes.withdraw(status, who, reason=reason)
    except (AccessError, RetentionError) as error:
        if error.error_id not in NOTHING_LEFT:
            raise
    try:
        service.close(
            request.tenant, request.id, how="answered", who=None, now=changes.now(), entropy=changes.entropy
        )
    except SubjectRequestError as error:
        if error.error_id != "subject_request.closed":
            raise
        return False
    log.info("subject_request.consent_withdrawn", recording=recording, request=request.id)
    return True
