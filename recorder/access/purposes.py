"""Which purposes a recording has, and which of them somebody may use now.

A recording has the purposes of its manifest, as long as they last, less what its row restricts: a row can
only take away.  A role may use a purpose that names it.  What nothing allows is denied: an empty policy,
an unknown code, a purpose without roles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from recorder.access.door import PurposeChoice
from recorder.catalogue.rows import RecordingRow
from recorder.prompts import purposes as prompts
from recorder.seal.contents import Manifest, Purpose

Roles = Mapping[str, frozenset[str]]
"""Who may use each purpose, by its code."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, when, and what is known about purposes; :meth:`choices` is the policy."""

    role: str
    now: datetime
    roles: Roles

    def choices(self, manifest: Manifest, row: RecordingRow) -> tuple[PurposeChoice, ...]:
        """Every purpose that was announced, with whether this person may use it now."""
        return tuple(
            PurposeChoice(purpose.code, reason is None, reason)
            for purpose in manifest.purposes
            for reason in [self._refusal(purpose, row)]
        )

    def _refusal(self, purpose: Purpose, row: RecordingRow) -> str | None:
        if self.now >= lasts_until(purpose, row):
            return "access.expired"
        if purpose.code in row.restricted or purpose.code not in row.purposes or not row.announced:
            return "access.purpose_restricted"
        if self.role not in self.roles.get(purpose.code, frozenset()):
            return "access.purpose_not_for_role"
        return None


def lasts_until(purpose: Purpose, row: RecordingRow) -> datetime:
    """Until when a purpose holds: as announced, or shorter where the row says so."""
    return min(purpose.until, row.keep_until)


def roles_by_code(own: Roles) -> Roles:
    """Who may use which purpose: the standard ones, and a tenant's own beside them.  A tenant's own
    never replaces a standard one."""
    return {**own, **{code: purpose.roles for code, purpose in prompts.standard().items()}}
