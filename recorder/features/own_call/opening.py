"""Opens a person's own call: the number that took part is called with a second code, and whoever types it
becomes a guest who sees that one recording.

Nothing dials a number that was typed in: what is called is the number in the signed code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from recorder.auditlog.append import append, tenant_lock
from recorder.auditlog.complete_log import CompleteLog, complete_log, signed_length
from recorder.catalogue.records import UserRow
from recorder.domain.roles import EXTERNAL_PARTY
from recorder.errors import OwnCallError, VerificationCallError
from recorder.features.own_call import codes
from recorder.features.own_call.codes import ValidCode
from recorder.identity import users
from recorder.lifecycle.amendment_service import Changes
from recorder.verification_calls import register
from recorder.verification_calls.policy import CallPolicy
from recorder.verification_calls.register import OWN_CALL

OPENED: Final = "own_call.opened"


@dataclass(frozen=True, slots=True)
class OwnCalls:
    """Opens calls to the people who were recorded, with the panel's key, clock and store."""

    changes: Changes
    policy: CallPolicy = field(default_factory=CallPolicy)

    def order_call(self, mac: str, language: str) -> None:
        """Have the number of a typed code called with the second one. Raises :class:`OwnCallError`
        (``own_call.closed``), :class:`VerificationCallError` as :func:`register.order`."""
        tenant, now, entropy = self._valid(mac).code.tenant, self.changes.now(), self.changes.entropy
        with tenant_lock(tenant):
            code = self._valid(mac).code
            register.order(
                self.policy, OWN_CALL, tenant, code.phone, language=language, who=code.guest, now=now,
                entropy=entropy, recording=code.recording,
            )  # fmt: skip

    def open(self, mac: str, digits: str, *, name: str, language: str) -> UserRow:
        """The guest that the person is, once they typed the ``digits`` that were read out to their number;
        ``name`` is what people call such a guest. Each attempt is counted first. Raises
        :class:`OwnCallError` (``own_call.closed``), :class:`VerificationCallError` as
        :func:`register.try_code`, :class:`recorder.errors.AuditLogError` for a log that is not complete."""
        tenant, now, entropy = self._valid(mac).code.tenant, self.changes.now(), self.changes.entropy
        signed = signed_length(tenant, self.changes.store, self.changes.root)
        with tenant_lock(tenant) as locked:
            valid = self._valid(mac)
            whole = complete_log(locked, signed)
            call = register.latest(OWN_CALL, tenant, recording=valid.code.recording)
            right = register.try_code(call, digits, who=valid.code.guest, now=now, entropy=entropy)
            guest = self._admit(valid, whole, name, language) if right else None
        if guest is None:
            raise register.wrong_code()
        return guest

    def _admit(self, valid: ValidCode, whole: CompleteLog, name: str, language: str) -> UserRow:
        """The user of the person, made when the call is opened for the first time."""
        whole.locked.check()
        code, now, entropy = valid.code, self.changes.now(), self.changes.entropy
        guest = users.user(code.tenant, code.guest) or users.create_guest(
            code.tenant, code.guest, name=name, role=EXTERNAL_PARTY, language=language, now=now,
            entropy=entropy, signer=self.changes.signer,
        )  # fmt: skip
        body = {"recording": code.recording, "user": code.guest}
        append(code.tenant, OPENED, body, now, entropy, recording=code.recording)
        return guest

    def _valid(self, mac: str) -> ValidCode:
        found = codes.find_by_mac(mac, self.changes.trust, self.changes.now())
        if found is None:
            raise OwnCallError("own_call.closed", "the code opens no call", "ask the company for a new code")
        return found


REFUSALS: Final = (OwnCallError, VerificationCallError)
"""What a wrong code raises, and what it never tells."""
