"""How long a recording is kept and what it may be used for, as docs/formats.md says it and not as the code
does it: everything that a purpose rests on ends with the first thing that ends it, and the purpose with the
last of those."""

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
"""Who may use a purpose; ``own`` is a customer's."""

Ceiling = Mapping[str, int]
"""How many days a country allows a purpose to be used for, by its code."""


@dataclass(frozen=True)
class Life:
    """A recording and all that was said of it, in that order.  ``until`` is when what was announced ends, or
    its day where nothing was; ``kept_from`` when its keeping begins; ``agreed`` what was agreed in the call,
    and until when.  ``kind``: announced, not_announced, brought_in."""

    kind: str
    codes: tuple[str, ...]
    until: datetime
    kept_from: datetime
    started_at: datetime
    line: str
    mode: str = "notice"
    agreed: tuple[str, datetime] | None = None
    said: tuple[tuple[datetime, Data], ...] = ()
    limits: tuple[RetentionLimit, ...] = ()
    ended_at: datetime | None = None
    """When the call ended in which it was agreed."""

    @property
    def known(self) -> tuple[str, ...]:
        """Purposes that it has, or had."""
        agreed = (self.agreed[0],) if self.agreed else ()
        later = (data.purpose for _, data in self.said if isinstance(data, ConsentAdded))
        return tuple(dict.fromkeys([*self.codes, *agreed, *later]))

    def ends(self, code: str) -> tuple[datetime, set[str]]:
        """When a purpose ends, and why: more than one reason where they meet."""
        until, why = _latest(_earliest(each) for each in self._rests_on(code))
        return self._or_deleted(until, why)

    def _shortened(self, code: str, agreed_at: datetime | None) -> Iterator[tuple[datetime, str]]:
        """What the customer set: it ends what was announced, and of what was agreed only what was agreed
        before it was set, where agreements are named."""
        for limit in self.limits:
            for_it = limit.purpose == code or (limit.purpose is None and code != LAW)
            still = limit.until is None or self.started_at < limit.until
            spared = agreed_at is not None and not (limit.covers_consents and agreed_at < limit.since)
            if for_it and still and limit.line in (None, self.line) and not spared:
                yield max(limit.since, self.kept_from + timedelta(days=limit.keep_days)), "shortened"

    def over(self) -> tuple[datetime, set[str]]:
        """When the recording ends, holds aside, and why."""
        if self.known:
            return _latest(self.ends(code) for code in self.known)
        return self._or_deleted(self.until, {"not_announced"})

    def holds(self) -> tuple[HoldSet, ...]:
        """Those that are set."""
        lifted = {data.hold for _, data in self.said if isinstance(data, HoldLifted)}
        numbered = enumerate((data for _, data in self.said), 1)
        return tuple(data for n, data in numbered if isinstance(data, HoldSet) and n not in lifted)

    def due(self, now: datetime) -> bool:
        """Whether it is to be destroyed."""
        return not self.holds() and now >= self.over()[0]

    def heard(self, code: str, role: str, now: datetime, ceiling: Ceiling) -> bool:
        """Whether somebody may hear it for a purpose."""
        if role not in ROLES[code]:
            return False
        if self.holds():
            return any(code in each.purposes and role in each.roles for each in self.holds())
        return now < self.ends(code)[0] and now < self.kept_from + timedelta(days=ceiling[code])

    def _rests_on(self, code: str) -> Iterator[list[tuple[datetime, str]]]:
        """Each thing that it rests on: all that ends it."""
        if code in self.codes:
            asked = self.mode != "notice" and code != LAW
            ended = [*self._taken_back(code, 0, withdrawn=asked), *self._shortened(code, None)]
            yield [(self.until, "expired"), *ended]
        if self.agreed and self.agreed[0] == code:
            assert self.ended_at is not None
            ended = [*self._taken_back(code, 0), *self._shortened(code, self.ended_at)]
            yield [(self.agreed[1], "expired"), *ended]
        for number, (at, data) in enumerate(self.said, 1):
            if isinstance(data, ConsentAdded) and data.purpose == code:
                ended = [*self._taken_back(code, number), *self._shortened(code, at)]
                yield [(data.until, "expired"), *ended]

    def _taken_back(self, code: str, after: int, *, withdrawn: bool = True) -> Iterator[tuple[datetime, str]]:
        for at, data in self.said[after:]:
            if isinstance(data, PurposesNarrowed) and code in data.purposes:
                yield at, "narrowed"
            if withdrawn and isinstance(data, ConsentWithdrawn) and code in data.purposes:
                yield at, "withdrawn"

    def _or_deleted(self, until: datetime, why: set[str]) -> tuple[datetime, set[str]]:
        asked = [(at, "deleted") for at, data in self.said if isinstance(data, DeletionRequested)]
        return _earliest([(until, each) for each in why] + asked)


def _earliest(ends: list[tuple[datetime, str]]) -> tuple[datetime, set[str]]:
    first = min(at for at, _ in ends)
    return first, {why for at, why in ends if at == first}


def _latest(ends: Iterator[tuple[datetime, set[str]]]) -> tuple[datetime, set[str]]:
    found = list(ends)
    last = max(at for at, _ in found)
    return last, set().union(*(why for at, why in found if at == last))
