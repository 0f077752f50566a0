"""A customer with people, a number and a recording, whose provider changes what the number promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from recorder.catalogue import queries
from recorder.catalogue.records import LineRow
from recorder.errors import CatalogueError
from recorder.features.tenants import composition, lines
from recorder.features.tenants.change_permission import OPERATOR
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.identity import users

NUMBER = "+3225550101"
WIDER = {
    "a purpose more": {"purposes": ("agreement", "quality"), "mode": "opt-out"},
    "a longer retention": {"keep_days": 90, "mode": "opt-out"},
    "no question any more": {"mode": "notice"},
}


@dataclass
class PromisedWorld:
    """A customer with an admin, a colleague and a recording, whose one number lets callers refuse."""

    tenant: str
    line: LineRow
    admin: str
    colleague: str
    say: Callable[..., str]
    at: dict[str, Any]

    def change(self, who: str = OPERATOR, line: str = "", **change: Any) -> None:
        assert change_line(self.tenant, line or self.line.id, LineChange(**change), who=who, **self.at)

    def announced(self) -> tuple[str, ...]:
        found = queries.line(self.tenant, self.line.id)
        assert found is not None
        return found.announcements


def refused(work: Callable[[], object]) -> bool:
    """Whether the customer has to say yes."""
    with pytest.raises(CatalogueError) as failure:
        work()
    return failure.value.error_id == "line.beyond_consent"


def make_world(tenants, clock, entropy) -> PromisedWorld:
    """Without any recording."""
    at = {"now": clock(), "entropy": entropy}

    def say(*, purposes: tuple[str, ...] = ("agreement",), keep_days: int = 30, mode: str = "opt-out") -> str:
        parts = {"purposes": purposes, "keep_days": keep_days, "mode": mode}
        return composition.compose(tenants[0], name="it", language="en", **parts, **at).id

    def person(login: str, role: str) -> str:
        about = {"login": login, "name": login, "role": role, "language": "en", "password_hash": "$argon2id$"}
        return users.create_user(tenants[0], **about, **at).id

    line = lines.create_line(tenants[0], number=NUMBER, announcement=say(), **at)
    people = person("ada@example.be", "customer_admin"), person("ben@example.be", "customer")
    return PromisedWorld(tenants[0], line, *people, say, at)
