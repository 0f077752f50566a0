"""An audit's look at a customer's limits: each that the log says was set is a row, lifted where the log says
so, and there is no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from recorder.catalogue.limits import said_of
from recorder.catalogue.models import KeepingLimit
from recorder.ledger.findings import Finding


@dataclass(slots=True)
class Limited:
    """Hears of limits, in order.  A row names the last leaf that speaks of it: the one that set it or, once
    it was lifted, the one that says that."""

    tenant: str
    _said: dict[int, dict[str, Any]] = field(default_factory=dict)

    def hear(self, number: int, body: Mapping[str, Any]) -> None:
        """One leaf: its number, and what it says."""
        said = {name: value for name, value in body.items() if name != "by"}
        if said["until"]:
            before = said | {"until": ""}
            self._said.pop(next((each for each, of in self._said.items() if of == before), -1), None)
        self._said[number] = said

    def end(self) -> Iterator[Finding]:
        """After the last leaf."""
        left = dict(self._said)
        mine = KeepingLimit.select(KeepingLimit.id).where(KeepingLimit.tenant == self.tenant)
        for identity in [row.id for row in mine.order_by(KeepingLimit.id)]:
            try:
                row = KeepingLimit.get_by_id(identity)
                leaf, found = row.leaf, said_of(row)
            except (ValueError, TypeError, AttributeError):
                yield self._found("row.changed", identity, "it holds something that was never written so")
                continue
            said = left.pop(leaf, None)
            if said is None:
                yield self._found("row.unlogged", identity, "a limit that no leaf speaks of")
            elif said != found:
                others = sorted(name for name, value in said.items() if found.get(name) != value)
                yield self._found("row.changed", identity, f"the log says otherwise: {', '.join(others)}")
        for number in left:
            what = "the log speaks of this limit, and there is no such row"
            yield self._found("row.deleted", f"of leaf {number}", what)

    def _found(self, code: str, which: str, message: str) -> Finding:
        return Finding(code, f"{self.tenant}: {KeepingLimit._meta.table_name} {which}", message)
