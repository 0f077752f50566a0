"""A recording's terms as they are now: by its chain, and by the retention limits in its customer's log."""

from __future__ import annotations

from dataclasses import dataclass

from recorder.auditlog.append import LockedTenant
from recorder.errors import SealError
from recorder.lifecycle.limits import limits_of
from recorder.seal import hints
from recorder.seal.amendment_chain import Chain
from recorder.seal.revocation import Trust
from recorder.seal.usage_terms import Terms, terms
from recorder.verified_state import VerifiedState


@dataclass(frozen=True, slots=True)
class CurrentTerms(VerifiedState):
    """The terms of a recording by its chain and its customer's limits, while the customer is locked."""

    locked: LockedTenant
    chain: Chain
    terms: Terms


def current_terms(locked: LockedTenant, chain: Chain, trust: Trust) -> CurrentTerms:
    """The terms of a recording of the locked customer's. Raises :class:`SealError`
    (``seal.manifest_foreign``)."""
    locked.check()
    manifest = chain.manifest
    if manifest.tenant != locked.tenant:
        what = f"recording {manifest.recording} is one of customer {manifest.tenant}"
        raise SealError("seal.manifest_foreign", what, hints.COMPARE)
    return CurrentTerms(locked, chain, terms(manifest, chain.amendments, limits_of(locked.tenant, trust)))
