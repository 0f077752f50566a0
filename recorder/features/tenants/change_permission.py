"""How far somebody may change what callers of a number are promised.

One of the customer's admins may promise all that the rules of the country allow. Once anything of the
customer's was recorded since the number was added, the provider, and whoever is no admin by the log, may
promise less, and never more than what the number announced when it was last recorded: no further purpose, no
longer retention, no question less. What it announced, and who is an admin, is read from the customer's
leaves: a row that claims more widens nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import LockedTenant
from recorder.auditlog.complete_log import check_gapless
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.catalogue import country_check
from recorder.catalogue.erased_call_queries import LISTED
from recorder.domain import phone_numbers
from recorder.domain.call_plan import MODES
from recorder.domain.line_policy import OFF
from recorder.domain.roles import ADMIN
from recorder.errors import CatalogueError
from recorder.features.tenants import announcements
from recorder.lifecycle.line_history import CHANGED, CREATED
from recorder.verified_state import VerifiedState

OPERATOR: Final = "operator"
"""Who changes a line, where it is not one of the customer's users."""

PROMISED: Final = frozenset({"announcement", "others", "mode", "keep"})
"""The settings of a line that say what callers are promised."""

_PEOPLE: Final = ("user.created", "user.access_changed", "user.revoked")
_KINDS: Final = (CREATED, CHANGED, announcements.CREATED, *_PEOPLE)


@dataclass(frozen=True, slots=True)
class Promise:
    """What callers of a number are promised: the purposes; the retention (days) without an answer to the keep
    question, and after a yes; and the place of the mode among :data:`MODES`, the laxest first."""

    purposes: frozenset[str]
    keep_days: int
    agreed_days: int
    mode: int

    def beyond(self, other: Promise) -> list[str]:
        """What this one has more than another, in words: purposes, days, and a laxer mode."""
        more = sorted(self.purposes - other.purposes)
        if self.keep_days > other.keep_days or self.agreed_days > max(other.keep_days, other.agreed_days):
            more.append(f"{max(self.keep_days, self.agreed_days)} days")
        if self.mode < other.mode:
            more.append(MODES[self.mode])
        return more


_NOTHING: Final = Promise(frozenset(), 0, 0, len(MODES) - 1)
"""What is promised on a number that the customer switched off, or that the log does not have."""


@dataclass(frozen=True, slots=True)
class ChangePermission(VerifiedState):
    """That somebody may change what a locked customer's number promises: to anything, or to nothing that is
    beyond the ``limit``. ``known`` are the customer's announcements by id, by their leaves."""

    locked: LockedTenant
    number: str
    limit: Promise | None
    known: Mapping[str, Mapping[str, Any]]

    def check(self, ids: Sequence[str], keep: Mapping[str, Any] | None, mode: str) -> None:
        """Check what the number is to announce (ids), with a keep question, in a mode. Raises
        :class:`CatalogueError` (``line.beyond_consent``), ``RuntimeError`` once the lock has ended."""
        self.locked.check()
        if self.limit is None or mode == OFF:
            return
        promise = _promise(ids, keep, self.known)
        more = ["an unlogged announcement"] if promise is None else promise.beyond(self.limit)
        if more:
            raise CatalogueError(
                "line.beyond_consent",
                f"{self.number} would promise more than its customer agreed to: {', '.join(more)}",
                "one of the customer's admins sets it up in the panel, under Numbers",
            )


def permit_change(locked: LockedTenant, line: str, who: str) -> ChangePermission:
    """How far ``who`` (the id of a user, or the operator) may change what a locked customer's line promises.
    Raises :class:`recorder.errors.AuditLogError` (``audit_log.incomplete``),
    :class:`recorder.errors.SealError` (``leaf.damaged``)."""
    leaves = _read_leaves(locked)
    created = (each.body for each in leaves if each.kind == CREATED)
    number = next((str(body["number"]) for body in created if body["line"] == line), None)
    return _permission(locked, leaves, number, who)


def permit_line(locked: LockedTenant, number: str) -> ChangePermission:
    """How far the operator may choose what a new line of a locked customer promises, who may have had the
    number before. Raises as :func:`permit_change`."""
    check_gapless(locked)
    if not leaf_lookup.has_leaf(locked.tenant, (CHANGED, *LISTED)):
        # Nobody chose and nothing was recorded: a customer with many numbers is set up without reading all.
        return ChangePermission(locked, number, None, {})
    return _permission(locked, _read_leaves(locked), number, OPERATOR)


def _read_leaves(locked: LockedTenant) -> Sequence[LoggedLeaf]:
    check_gapless(locked)
    return leaf_lookup.whole_leaves(locked.tenant, _KINDS)


def _permission(
    locked: LockedTenant, leaves: Sequence[LoggedLeaf], number: str | None, who: str
) -> ChangePermission:
    roles = _roles(leaves)
    known = announcements.announcements_in(leaves)
    limit = None
    # A customer without people agrees outside of the panel.
    if roles and roles.get(who) != ADMIN:
        if number is None:
            limit = _NOTHING
        else:
            country = country_check.country_of(locked.tenant)
            own = _about(leaves, number, country)
            limit, is_own = _agreed(own, known)
            begin = own[0].number if own else -1
            if not is_own and not leaf_lookup.has_leaf(locked.tenant, LISTED, after=begin):
                limit = None
    return ChangePermission(locked, number or "the number", limit, known)


def _roles(leaves: Sequence[LoggedLeaf]) -> dict[str, str]:
    """The roles of all users that a customer ever had, by their ids; empty once revoked."""
    people = (leaf for leaf in leaves if leaf.kind in _PEOPLE)
    return {str(leaf.body.get("user")): str(leaf.body.get("role", "")) for leaf in people}


def _about(leaves: Sequence[LoggedLeaf], number: str, country: str) -> Sequence[LoggedLeaf]:
    """The leaves about a customer's lines with a number, in any spelling."""
    canonical = _canonical(number, country)
    lines = {
        leaf.body["line"]
        for leaf in leaves
        if leaf.kind == CREATED and _canonical(str(leaf.body["number"]), country) == canonical
    }
    return [leaf for leaf in leaves if leaf.kind in (CREATED, CHANGED) and leaf.body["line"] in lines]


def _agreed(
    leaves: Sequence[LoggedLeaf], known: Mapping[str, Mapping[str, Any]]
) -> tuple[Promise | None, bool]:
    """What a number promised, by the leaves about its lines, when it was last recorded for this customer, or
    nothing if the customer has switched it off since; ``None`` if it never was. And whether the customer ever
    chose."""
    agreed, is_own, state = None, False, dict[str, Any]()
    for leaf in leaves:
        state = {**({} if leaf.kind == CREATED else state), **leaf.body}
        is_customers = leaf.kind == CHANGED and leaf.body["actor"] != OPERATOR
        if state["mode"] != OFF:
            agreed = _promise((state["announcement"], *state["others"]), state["keep"], known) or _NOTHING
        elif is_customers and "mode" in leaf.body:
            agreed = _NOTHING
        is_own |= is_customers and not PROMISED.isdisjoint(leaf.body)
    return agreed, is_own


def _canonical(number: str, country: str) -> str:
    return phone_numbers.to_canonical(number, country) or number


def _promise(
    ids: Sequence[str], keep: Mapping[str, Any] | None, known: Mapping[str, Mapping[str, Any]]
) -> Promise | None:
    """What some announcements promise, with a keep question; ``None`` if the log lacks one of them."""
    if not {*ids} <= known.keys():
        return None
    bodies = [known[each] for each in ids]
    purposes = frozenset(str(code) for body in bodies for code in body["purposes"])
    days = max(int(body["keep_days"]) for body in bodies)
    mode = min(MODES.index(body["mode"]) for body in bodies)
    if keep is None:
        return Promise(purposes, days, 0, mode)
    # Without a yes, a question that destroys leaves nothing.
    unanswered_days = 0 if keep["destroy"] else days
    return Promise(purposes | {str(keep["purpose"])}, unanswered_days, int(keep["keep_days"]), mode)
