"""Checks rows about departed customers and erased calls against the signed statements in the bucket.

A row without a signed statement has no effect: it is logged, and `accord audit run` reports it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.auditlog.append import lock_tenant
from recorder.catalogue import erased_call_queries, offboarding_progress
from recorder.catalogue.database import writing
from recorder.errors import SealError
from recorder.fault_log import FaultLog
from recorder.lifecycle.erasure_order import order_by
from recorder.seal import call_erasure, offboarding
from recorder.seal.offboarding import ErasureStatement
from recorder.seal.revocation import Revoked, none_revoked
from recorder.services import Services
from recorder.store.contract import NotFound, Store
from recorder.verified_state import VerifiedState

LEFT: Final = "tenant.offboarded"
CALL_ERASED: Final = "call.erased"

CALLS_FORGOTTEN: Final = "calls.erased"
"""The kind of the leaf that lists erased calls."""

DISPUTES_ERASED: Final = "disputes.erased"
"""The kind of the leaf that lists erased disputes' leaves."""


@dataclass(frozen=True, slots=True)
class StatementCheck(VerifiedState):
    """What rows say about a call, each :data:`LEFT` or :data:`CALL_ERASED`: with (``signed``) and without
    (``unsigned``) a signed statement."""

    signed: frozenset[str] = frozenset()
    unsigned: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ErasedTenant(VerifiedState):
    """A customer all of whose data is, or is being, erased by the signed statement in force, which is the
    last one in the customer's complete log, too. Nothing revokes it, so it needs no lock."""

    statement: ErasureStatement

    @property
    def tenant(self) -> str:
        return self.statement.tenant


@dataclass(frozen=True, slots=True)
class Statements:
    """Reads the bucket only where a row makes a claim; documents by a ``revoked`` key do not count. Every
    method raises :class:`recorder.errors.StoreError`."""

    store: Store
    root: Ed25519PublicKey
    revoked: Callable[[], Revoked] = none_revoked
    faults: FaultLog = field(default_factory=FaultLog)
    """Rows without a signed statement that were met."""

    def look(self, tenant: str | None, call: str) -> StatementCheck:
        """What applies to a customer's call. Raises as :meth:`find_erased`."""
        rows = {LEFT} if tenant is not None and offboarding_progress.is_being_erased(tenant) else set()
        signed = {LEFT} if rows and tenant is not None and self.find_erased(tenant) is not None else set()
        if (note := erased_call_queries.find_note(call)) is not None:
            rows.add(CALL_ERASED)
            signed |= {CALL_ERASED} if self._forgot(tenant, call, *note) else set()
        return StatementCheck(frozenset(signed), frozenset(rows - signed))

    def find_erased(self, tenant: str) -> ErasedTenant | None:
        """A customer all of whose data is, or is being, erased; ``None`` for any other. Raises
        :class:`SealError` if a statement is unreadable, :class:`recorder.errors.AuditLogError`
        (``audit_log.incomplete``) if the log may lack the customer's decision to stay."""
        if not offboarding_progress.is_being_erased(tenant):
            self.faults.recover("offboarding.unsigned", tenant, tenant=tenant)
            return None
        cause: SealError | str = "only a row says that the customer is erased"
        if (statement := self._statement(tenant)) is not None:
            order = order_by(statement, self.store, self.root)
            try:
                with writing():
                    order.confirm(lock_tenant(tenant))
            except SealError as error:
                cause = error
            else:
                self.faults.recover("offboarding.unsigned", tenant, tenant=tenant)
                return ErasedTenant(statement)
        self.faults.report(
            "offboarding.unsigned",
            cause,
            tenant,
            level="error",
            tenant=tenant,
            hint="run `accord audit run`",
        )
        return None

    def orders_erasure(self, tenant: str) -> bool:
        """Whether the statement in force orders the erasure of a customer's data, as a row says; the log may
        say otherwise. Raises :class:`SealError` if a statement is unreadable."""
        return offboarding_progress.is_being_erased(tenant) and self._statement(tenant) is not None

    def _statement(self, tenant: str) -> ErasureStatement | None:
        found = offboarding.current_statement(self.store, tenant, self.root, self.revoked())
        return found if isinstance(found, ErasureStatement) else None

    def forgot(self, tenant: str | None, call: str) -> bool:
        """Whether a customer's call was erased at its person's request."""
        note = erased_call_queries.find_note(call)
        return note is not None and self._forgot(tenant, call, *note)

    def _forgot(self, tenant: str | None, call: str, owner: str, note: str) -> bool:
        try:
            record = call_erasure.note_at(self.store, owner, note, self.root, self.revoked())
            if owner == tenant and call in record.calls:
                self.faults.recover("call_erasure.unsigned", call, call=call)
                return True
            cause: SealError | NotFound = SealError(
                "call_erasure.foreign",
                "its note is another customer's, or names other calls",
                "run `accord audit run`, which names the row",
            )
        except (SealError, NotFound) as error:
            cause = error
        self.faults.report(
            "call_erasure.unsigned",
            cause,
            call,
            level="error",
            call=call,
            hint="only a row says that this call was erased: run `accord audit run`",
        )
        return False


def statements_of(services: Services) -> Statements:
    """The statements of an installation."""
    return Statements(services.store, services.root, services.revoked, services.faults)
