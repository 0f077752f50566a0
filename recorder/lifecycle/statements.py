"""What signed statements in the bucket say about a customer or a call, where a row says something.

A row without a signed statement decides nothing: it is logged, and `accord audit` reports it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.catalogue import departures, erased_call_queries
from recorder.errors import SealError
from recorder.seal import call_erasure, offboarding
from recorder.seal.document_source import DocumentSource
from recorder.seal.revocation import Revoked, none_revoked
from recorder.services import Services
from recorder.store.contract import NotFound

LEFT: Final = "tenant.offboarded"
FORGOTTEN: Final = "call.erased"

CALLS_FORGOTTEN: Final = "calls.erased"
"""The kind of the leaf that lists erased calls."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StatementCheck:
    """What rows say of a call, each :data:`LEFT` or :data:`FORGOTTEN`: what is ``signed`` as well, and what
    is not."""

    signed: frozenset[str] = frozenset()
    unsigned: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Statements:
    """Asks the bucket only where a row says something; what a ``revoked`` key signed does not count.
    Everything raises :class:`recorder.errors.StoreError`."""

    store: DocumentSource
    root: Ed25519PublicKey
    revoked: Callable[[], Revoked] = none_revoked

    def look(self, tenant: str | None, call: str) -> StatementCheck:
        """What holds of a customer's call.  Raises :class:`SealError` where a statement about the customer
        cannot be read."""
        rows = {LEFT} if tenant is not None and departures.being_erased(tenant) else set()
        signed = {LEFT} if rows and tenant is not None and self.erases(tenant) else set()
        if (named := erased_call_queries.note_of(call)) is not None:
            rows.add(FORGOTTEN)
            signed |= {FORGOTTEN} if self._forgot(tenant, call, *named) else set()
        return StatementCheck(frozenset(signed), frozenset(rows - signed))

    def erases(self, tenant: str) -> bool:
        """Whether everything of a customer is destroyed, or is being.  Raises :class:`SealError` where a
        statement cannot be read."""
        if not departures.being_erased(tenant):
            return False
        found = offboarding.current_statement(self.store, tenant, self.root, self.revoked())
        if found is not None and found.kind == offboarding.ERASURE:
            return True
        log.error("offboarding.unsigned", tenant=tenant, hint="a row says that it is erased: `accord audit`")
        return False

    def forgot(self, tenant: str | None, call: str) -> bool:
        """Whether a customer's call was erased for its person."""
        named = erased_call_queries.note_of(call)
        return named is not None and self._forgot(tenant, call, *named)

    def _forgot(self, tenant: str | None, call: str, owner: str, note: str) -> bool:
        try:
            said = call_erasure.note_at(self.store, owner, note, self.root, self.revoked())
            if owner == tenant and call in said.calls:
                return True
            error_id = "call_erasure.foreign"
        except (SealError, NotFound) as error:
            error_id = error.error_id
        log.error(
            "call_erasure.unsigned",
            call=call,
            error_id=error_id,
            hint="a row says that this call was erased, and no signed note does: `accord audit`",
        )
        return False


def statements_of(services: Services) -> Statements:
    """The statements in the bucket of an installation."""
    return Statements(services.store, services.root, services.revoked)
