"""Changes and reads the provider's branding.

A row alone decides nothing: the branding must be signed, and the newest one according to the provider's log.
Otherwise the values of the settings file apply.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import tenant_lock
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.auditlog.signed_setting import SignedSetting, newest_number
from recorder.catalogue.database import connected
from recorder.catalogue.tables.branding import BrandingTable
from recorder.clock import Now
from recorder.domain.roles import PROVIDER
from recorder.errors import CatalogueError, SealError
from recorder.fault_log import FaultLog
from recorder.ids import Entropy
from recorder.seal.amendment import By
from recorder.seal.branding import KIND, Branding
from recorder.seal.revocation import Trust
from recorder.seal.signed_document import Verified
from recorder.seal.signing import Signer

CHANGED: Final = "provider.branding_changed"

HINT: Final = "an operator saves the settings again in the panel; `accord audit run` names such rows"

_SIGNED_SETTING: Final = SignedSetting(
    KIND, BrandingTable, CHANGED, lambda found: (found.tenant, found.tenant, found.number)
)

REFRESH: Final = timedelta(seconds=5)
"""How long a process may show a branding that another one has changed."""


def save_branding(branding: Branding, *, signer: Signer, now: datetime, entropy: Entropy) -> Branding:
    """Sign a branding, which has been checked (:mod:`.rules`), as the tenant's next one; its ``number`` is
    replaced. Returns it as it was signed. Raises :class:`SealError` for a key that is not endorsed for it."""
    tenant = branding.tenant
    with tenant_lock(tenant):
        branding = replace(branding, number=newest_number(_changes(tenant)) + 1)
        _SIGNED_SETTING.save(branding, By("user", branding.by), {}, signer=signer, now=now, entropy=entropy)
    return branding


def find_branding(trust: Trust, tenant: str = PROVIDER) -> Verified[Branding] | None:
    """The provider's branding; ``None`` if there is none. Raises :class:`SealError` as :func:`check`, and
    ``branding.missing`` where the log has one and there is no row."""
    with connected():
        row = BrandingTable.get_or_none(BrandingTable.id == tenant)
        newest = newest_number(_changes(tenant))
    if row is not None:
        return check(row, trust)
    if newest:
        raise SealError("branding.missing", f"branding {newest} of the log is not in the catalogue", HINT)
    return None


def check(row: BrandingTable, trust: Trust) -> Verified[Branding]:
    """The branding in a row. Raises :class:`SealError` as :meth:`SignedSetting.check`."""
    return _SIGNED_SETTING.check(row, _changes(row.id), trust)


@dataclass
class CurrentBranding:
    """The provider's branding as a process shows it: read again every few seconds, so that a change needs no
    restart. One that is not valid is logged for the operator and not shown."""

    trust: Trust
    now: Now
    _found: Branding | None = field(default=None, init=False)
    _read_at: datetime | None = field(default=None, init=False)
    _faults: FaultLog = field(default_factory=FaultLog, init=False)

    def __call__(self) -> Branding | None:
        """The branding; ``None`` where the settings apply. While the catalogue is away, the last one."""
        now = self.now()
        if self._read_at is None or not timedelta() <= now - self._read_at < REFRESH:
            self._read_at = now
            self._read()
        return self._found

    def refresh(self) -> None:
        """Read it again at the next call: this process has changed it."""
        self._read_at = None

    def _read(self) -> None:
        try:
            signed = find_branding(self.trust)
        except SealError as error:
            self._found = None
            self._faults.report("branding.refused", error, level="error", hint=error.hint)
        except CatalogueError as error:
            self._faults.report("branding.unavailable", error)
        else:
            self._found = None if signed is None else signed.value
            self._faults.recover_all()


def provider_name(branding: Branding | None, configured: str) -> str:
    """The provider's name: as an operator set it in the panel, or as it is ``configured`` in the settings."""
    return (branding.name if branding else "") or configured


def _changes(tenant: str) -> list[LoggedLeaf]:
    return leaf_lookup.leaves_after(tenant, -1, CHANGED)
