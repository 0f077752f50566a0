"""Verified lookups of single leaves, for decisions: each leaf is intact, and its body matches its commitment.

A row decides nothing alone: what may be disclosed, erased or played follows from its leaves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from recorder.auditlog.append import commitment, leaf_hash, owning_recording
from recorder.catalogue.database import connected
from recorder.catalogue.prepared_query import prepared
from recorder.catalogue.tables.audit_log import (
    IS_DECISION,
    IS_LINE_SETUP,
    IS_PERMISSION,
    IS_SIGN_IN,
    IS_STATED,
    IS_TEAM,
    LeafTable,
)
from recorder.clock import from_iso
from recorder.errors import SealError
from recorder.seal import hints

PAGE = 500
"""Customers in one query."""


@dataclass(frozen=True, slots=True)
class LoggedLeaf:
    """An intact leaf with its body."""

    number: int
    kind: str
    at: datetime
    body: Mapping[str, Any]


def find_leaf(tenant: str, number: int | None) -> LoggedLeaf | None:
    """A tenant's leaf; ``None`` if it does not exist, is not intact, or lost its body."""
    if number is None:
        return None
    with connected():
        row = next(iter(_leaf(tenant, number)), None)
    return None if row is None else _verified(row)


@prepared(LeafTable)
def _leaf(tenant: str, number: int) -> Any:
    return LeafTable.select().where((LeafTable.tenant == tenant) & (LeafTable.number == number))


def has_leaf(tenant: str, kinds: Collection[str], *, after: int = -1) -> bool:
    """Whether a tenant's log has a leaf of some kinds after the leaf ``after``, intact or not."""
    condition = (LeafTable.tenant == tenant) & (LeafTable.number > after) & LeafTable.kind.in_([*kinds])
    with connected():
        return bool(LeafTable.select().where(condition).exists())


def leaves_about(tenant: str, recordings: Collection[str], kinds: Collection[str]) -> list[LoggedLeaf]:
    """A tenant's intact leaves of some kinds about some recordings, in order."""
    with connected():
        mine = (LeafTable.tenant == tenant) & LeafTable.recording_id.in_([*recordings])
        rows = list(LeafTable.select().where(mine & LeafTable.kind.in_([*kinds])).order_by(LeafTable.number))
    return [leaf for row in rows if (leaf := _verified(row)) is not None]


def whole_leaves_about(tenant: str, recording: str, kind: str) -> list[LoggedLeaf]:
    """All of a tenant's leaves of a kind about a recording, in order. Raises :class:`SealError`
    (``leaf.damaged``) if one is not intact, or lost its body."""
    with connected():
        rows = list(_leaves_about(tenant, recording, kind))
    return [_require_whole(row, f" about recording {recording}") for row in rows]


def whole_leaves(tenant: str, kinds: Collection[str]) -> list[LoggedLeaf]:
    """All of a tenant's leaves of some kinds, in order. Raises :class:`SealError` (``leaf.damaged``) if one
    is not intact, or lost its body."""
    mine = (LeafTable.tenant == tenant) & LeafTable.kind.in_([*kinds])
    with connected():
        return [_require_whole(row) for row in LeafTable.select().where(mine).order_by(LeafTable.number)]


def _require_whole(row: LeafTable, about: str = "") -> LoggedLeaf:
    if (leaf := _verified(row)) is None:
        raise SealError("leaf.damaged", f"leaf {row.number}{about} is not as it was written", hints.COMPARE)
    return leaf


@prepared(LeafTable)
def _leaves_about(tenant: str, recording: str, kind: str) -> Any:
    mine = (LeafTable.tenant == tenant) & (LeafTable.recording_id == recording) & (LeafTable.kind == kind)
    return LeafTable.select().where(mine).order_by(LeafTable.number)


def leaves_after(tenant: str, number: int, kind: str) -> list[LoggedLeaf]:
    """A tenant's intact leaves of a kind after the leaf ``number``, in order."""
    with connected():
        mine = (LeafTable.tenant == tenant) & (LeafTable.number > number) & (LeafTable.kind == kind)
        rows = list(LeafTable.select().where(mine).order_by(LeafTable.number))
    return [leaf for row in rows if (leaf := _verified(row)) is not None]


def statements_since(since: datetime) -> Iterator[tuple[str, str, LoggedLeaf | None]]:
    """The leaves about disputes' statements since a time, in each customer's order: the customer, the
    dispute, and the leaf, ``None`` if it is not intact. Erased ones are left out."""
    condition = IS_STATED & (LeafTable.at >= since) & LeafTable.body.is_null(False)
    with connected():
        rows = list(LeafTable.select().where(condition).order_by(LeafTable.tenant, LeafTable.number))
    for row in rows:
        yield row.tenant_id, row.recording_id or "", _verified(row)


def find_decisions(tenant: str, kinds: Collection[str]) -> list[LoggedLeaf]:
    """A tenant's intact leaves of some of the kinds in :data:`IS_DECISION`, in order."""
    with connected():
        rows = _decided(tuple(kinds))(tenant)
    return [leaf for row in rows if (leaf := _verified(row)) is not None]


def find_sign_in(tenant: str, kind: str) -> list[LoggedLeaf]:
    """A tenant's intact leaves of one of the kinds in :data:`IS_SIGN_IN`, in order."""
    with connected():
        rows = _sign_in(tenant, kind)
    return [leaf for row in rows if (leaf := _verified(row)) is not None]


@prepared(LeafTable)
def _sign_in(tenant: str, kind: str) -> Any:
    mine = (LeafTable.tenant == tenant) & (LeafTable.kind == kind) & IS_SIGN_IN
    return LeafTable.select().where(mine).order_by(LeafTable.number)


def find_permissions(tenant: str, *kinds: str) -> list[LoggedLeaf]:
    """A tenant's intact leaves of some of the kinds in :data:`IS_PERMISSION`, in order."""
    with connected():
        rows = _permissions(kinds)(tenant)
    return [leaf for row in rows if (leaf := _verified(row)) is not None]


@cache
def _permissions(kinds: tuple[str, ...]) -> Callable[[str], list[LeafTable]]:
    @prepared(LeafTable)
    def of(tenant: str) -> Any:
        mine = (LeafTable.tenant == tenant) & LeafTable.kind.in_(kinds) & IS_PERMISSION
        return LeafTable.select().where(mine).order_by(LeafTable.number)

    return of


def team_leaves(tenant: str) -> list[LoggedLeaf]:
    """A tenant's intact leaves of the kinds in :data:`IS_TEAM`, in order."""
    with connected():
        rows = list(_team_leaves(tenant))
    return [leaf for row in rows if (leaf := _verified(row)) is not None]


@prepared(LeafTable)
def _team_leaves(tenant: str) -> Any:
    return LeafTable.select().where((LeafTable.tenant == tenant) & IS_TEAM).order_by(LeafTable.number)


@cache
def _decided(kinds: tuple[str, ...]) -> Callable[[str], list[LeafTable]]:
    @prepared(LeafTable)
    def of(tenant: str) -> Any:
        mine = (LeafTable.tenant == tenant) & LeafTable.kind.in_(kinds) & IS_DECISION
        return LeafTable.select().where(mine).order_by(LeafTable.number)

    return of


def line_leaves(tenant: str) -> list[LoggedLeaf]:
    """A tenant's intact leaves of the kinds in :data:`IS_LINE_SETUP`, in order."""
    with connected():
        rows = list(_line_leaves(tenant))
    return [leaf for row in rows if (leaf := _verified(row)) is not None]


def leaves_of_many(tenants: Collection[str], kinds: Collection[str]) -> dict[str, list[LoggedLeaf]]:
    """The intact leaves of some kinds of each of some customers, in order; customers without any are left
    out."""
    found: dict[str, list[LoggedLeaf]] = {}
    names = sorted(tenants)
    for begin in range(0, len(names), PAGE):
        some = LeafTable.tenant.in_(names[begin : begin + PAGE]) & LeafTable.kind.in_([*kinds])
        with connected():
            query = LeafTable.select().where(some).order_by(LeafTable.tenant, LeafTable.number)
            for row in query.iterator():
                if (leaf := _verified(row)) is not None:
                    found.setdefault(row.tenant_id, []).append(leaf)
    return found


@prepared(LeafTable)
def _line_leaves(tenant: str) -> Any:
    return LeafTable.select().where((LeafTable.tenant == tenant) & IS_LINE_SETUP).order_by(LeafTable.number)


def _verified(row: LeafTable) -> LoggedLeaf | None:
    if row.body is None or row.salt is None:
        return None
    try:
        body, text = json.loads(row.body), json.loads(row.leaf)
        whole = (
            leaf_hash(row.leaf.encode()) == row.leaf_hash
            and (text["tenant"], text["number"], text["kind"]) == (row.tenant_id, row.number, row.kind)
            and text["commitment"] == commitment(bytes(row.salt), row.body.encode())
            and owning_recording(row.kind, body) == row.recording_id
        )
        return LoggedLeaf(row.number, row.kind, from_iso(text["at"]), body) if whole else None
    except (ValueError, TypeError, AttributeError, KeyError):
        return None
