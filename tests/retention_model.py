"""A model of retention and use, written from docs/reference/formats.md and not from the code: each basis of a
purpose ends with the first fact that ends it, and the purpose with the last of its bases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from recorder.seal.amendment_kinds import (
    ConsentAdded,
    ConsentWithdrawn,
    Data,
    DeletionRequested,
    HoldLifted,
    HoldSet,
    PurposesNarrowed,
)
from recorder.seal.usage_terms import RetentionLimit

LAW = "legal-duty"
ROLES: Mapping[str, frozenset[str]] = {
    "agreement": frozenset({"customer_admin", "customer"}),
    "quality": frozenset({"customer_admin"}),
    "training": frozenset({"customer_admin"}),
    LAW: frozenset({"customer_admin", "auditor"}),
    "own": frozenset({"customer"}),
}
"""The roles that may use a purpose; ``own`` is a customer's own purpose."""

LongestDays = Mapping[str, int]
"""The most days of use that a country allows, by purpose."""


@dataclass(frozen=True)
class ModelledRecording:
    """A recording and its amendments (``statements``), in order.  ``until`` is the end of the announced
    retention, or its own day if nothing was announced; ``kept_from`` the start of retention; ``agreed`` the
    purpose agreed in the call, and until when.  ``kind``: announced, not_announced, imported."""

    kind: str
    codes: tuple[str, ...]
    until: datetime
    kept_from: datetime
    started_at: datetime
    line: str
    mode: str = "notice"
    agreed: tuple[str, datetime] | None = None
    statements: tuple[tuple[datetime, Data], ...] = ()
    limits: tuple[RetentionLimit, ...] = ()
    ended_at: datetime | None = None
    """When the call with that agreement ended."""

    @property
    def known(self) -> tuple[str, ...]:
        """Every purpose that it has or had."""
        agreed = (self.agreed[0],) if self.agreed else ()
        later = (data.purpose for _, data in self.statements if isinstance(data, ConsentAdded))
        return tuple(dict.fromkeys([*self.codes, *agreed, *later]))

    def ends(self, code: str) -> tuple[datetime, set[str]]:
        """When a purpose ends, and why; several reasons if they coincide."""
        until, why = _latest(_earliest(each) for each in self._rests_on(code))
        return self._or_deleted(until, why)

    def _shortened(self, code: str, agreed_at: datetime | None) -> Iterator[tuple[datetime, str]]:
        """Ends by the customer's retention limits: of the announced retention, and, if a limit includes
        agreements, of those made before it."""
        for limit in self.limits:
            for_it = limit.purpose == code or (limit.purpose is None and code != LAW)
            still = limit.until is None or self.started_at < limit.until
            exempt = agreed_at is not None and not (limit.covers_consents and agreed_at < limit.since)
            if for_it and still and limit.line in (None, self.line) and not exempt:
                yield max(limit.since, self.kept_from + timedelta(days=limit.keep_days)), "shortened"

    def over(self) -> tuple[datetime, set[str]]:
        """When the recording ends, apart from legal holds, and why."""
        if self.known:
            return _latest(self.ends(code) for code in self.known)
        return self._or_deleted(self.until, {"not_announced"})

    def holds(self) -> tuple[HoldSet, ...]:
        """The legal holds in force."""
        lifted = {data.hold for _, data in self.statements if isinstance(data, HoldLifted)}
        numbered = enumerate((data for _, data in self.statements), 1)
        return tuple(data for n, data in numbered if isinstance(data, HoldSet) and n not in lifted)

    def due(self, now: datetime) -> bool:
        """Whether it must be destroyed."""
        return not self.holds() and now >= self.over()[0]

    def may_be_heard(self, code: str, role: str, now: datetime, longest_days: LongestDays) -> bool:
        """Whether a role may listen for a purpose."""
        if role not in ROLES[code]:
            return False
        if self.holds():
            return any(code in each.purposes and role in each.roles for each in self.holds())
        return now < self.ends(code)[0] and now < self.kept_from + timedelta(days=longest_days[code])

    def _rests_on(self, code: str) -> Iterator[list[tuple[datetime, str]]]:
        """Each basis of a purpose: every end of it."""
        if code in self.codes:
            needs_consent = self.mode != "notice" and code != LAW
            ended = [*self._taken_back(code, 0, withdrawn=needs_consent), *self._shortened(code, None)]
            yield [(self.until, "expired"), *ended]
        if self.agreed and self.agreed[0] == code:
            assert self.ended_at is not None
            ended = [*self._taken_back(code, 0), *self._shortened(code, self.ended_at)]
            yield [(self.agreed[1], "expired"), *ended]
        for number, (at, data) in enumerate(self.statements, 1):
            if isinstance(data, ConsentAdded) and data.purpose == code:
                ended = [*self._taken_back(code, number), *self._shortened(code, at)]
                yield [(data.until, "expired"), *ended]

    def _taken_back(self, code: str, after: int, *, withdrawn: bool = True) -> Iterator[tuple[datetime, str]]:
        for at, data in self.statements[after:]:
            if isinstance(data, PurposesNarrowed) and code in data.purposes:
                yield at, "narrowed"
            if withdrawn and isinstance(data, ConsentWithdrawn) and code in data.purposes:
                yield at, "withdrawn"

    def _or_deleted(self, until: datetime, why: set[str]) -> tuple[datetime, set[str]]:
        requests = [(at, "deleted") for at, data in self.statements if isinstance(data, DeletionRequested)]
        return _earliest([(until, each) for each in why] + requests)


def _earliest(ends: list[tuple[datetime, str]]) -> tuple[datetime, set[str]]:
    first = min(at for at, _ in ends)
    return first, {why for at, why in ends if at == first}


def _latest(ends: Iterator[tuple[datetime, set[str]]]) -> tuple[datetime, set[str]]:
    found = list(ends)
    last = max(at for at, _ in found)
    return last, set().union(*(why for at, why in found if at == last))
