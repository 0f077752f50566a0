"""The order to erase all of a customer's data: signed in the bucket, and in the customer's log."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.auditlog.append import LockedTenant
from recorder.auditlog.complete_log import SignedLength, complete_log, signed_length
from recorder.auditlog.leaf_erasure import CallErasure, DisputeErasure
from recorder.auditlog.leaf_lookup import leaves_of_many
from recorder.errors import SealError
from recorder.lifecycle.departure import STAYS
from recorder.seal import hints, offboarding
from recorder.seal.offboarding import ErasureStatement
from recorder.services import Services
from recorder.store.contract import Store
from recorder.verified_state import VerifiedState

ERASURE_STARTED: Final = "tenant.erasure_started"


@dataclass(frozen=True, slots=True)
class DepartedCalls(CallErasure):
    """Calls without a recording of a customer whose data is erased."""


@dataclass(frozen=True, slots=True)
class DepartedDisputes(DisputeErasure):
    """Disputes of a customer whose data is erased."""


@dataclass(frozen=True, slots=True)
class DepartedTenant(VerifiedState):
    """A customer all of whose data is erased, by a signed statement that is the last one in the log, too,
    while the customer is locked."""

    locked: LockedTenant

    def calls(self, ids: Sequence[str]) -> DepartedCalls:
        """The erasure of some of the customer's calls."""
        return DepartedCalls(self.locked, tuple(ids))

    def disputes(self, ids: Collection[str], recordings: Collection[str]) -> DepartedDisputes:
        """The erasure of some of the customer's disputes, which were about these recordings (ids)."""
        return DepartedDisputes(self.locked, tuple(sorted(ids)), tuple(sorted(recordings)))


@dataclass(frozen=True, slots=True)
class ErasureOrder(VerifiedState):
    """The last of the statements about a customer's departure in the bucket, which orders the erasure, and
    how long the customer's log is at least."""

    statement: ErasureStatement
    length: SignedLength

    @property
    def tenant(self) -> str:
        return self.statement.tenant

    def confirm(self, locked: LockedTenant) -> DepartedTenant:
        """Compare the order with the complete log of the locked customer: the statements in the bucket do not
        show that a later one is missing. Raises :class:`SealError` (``offboarding.missing``),
        :class:`AuditLogError` as :func:`recorder.auditlog.complete_log.complete_log`."""
        complete_log(locked, self.length)
        leaves = leaves_of_many([locked.tenant], [ERASURE_STARTED, STAYS]).get(locked.tenant, [])
        last = leaves[-1] if leaves else None
        if (
            last is None
            or locked.tenant != self.tenant
            or (last.kind, last.body.get("statement")) != (ERASURE_STARTED, self.statement.sha256)
        ):
            what = (
                f"the statement that orders the erasure of customer {self.tenant} is not the log's last one"
            )
            raise SealError("offboarding.missing", what, hints.COMPARE)
        return DepartedTenant(locked)


def erasure_order(tenant: str, services: Services, now: datetime) -> ErasureOrder:
    """The order to erase a customer's data, from the bucket. Raises :class:`SealError` as
    :func:`recorder.seal.offboarding.erasure_statement`, :class:`recorder.errors.StoreError`."""
    statement = offboarding.erasure_statement(services.store, tenant, services.root, services.revoked(), now)
    return order_by(statement, services.store, services.root)


def order_by(statement: ErasureStatement, store: Store, root: Ed25519PublicKey) -> ErasureOrder:
    """The order that a statement gives. Raises :class:`recorder.errors.StoreError`."""
    return ErasureOrder(statement, signed_length(statement.tenant, store, root))
