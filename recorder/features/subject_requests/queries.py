"""Rows of subject requests, each compared with the log before it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import Leaf
from recorder.catalogue.tables.subject_request import SubjectRequestTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import SubjectRequestError
from recorder.features.subject_requests.rules import (
    CLOSED,
    EXPORTED,
    EXTENDED,
    PROVED,
    RECEIVED,
    VOUCHED,
)
from recorder.verification_calls.code import commit_text


def find_row(tenant: str, request_id: str) -> SubjectRequestTable:
    """A customer's row, if it agrees with the log. Raises :class:`SubjectRequestError`:
    ``subject_request.not_found``, ``subject_request.not_logged``."""
    row = SubjectRequestTable.get_or_none(
        (SubjectRequestTable.tenant_id == tenant) & (SubjectRequestTable.id == request_id)
    )
    if row is None:
        raise SubjectRequestError(
            "subject_request.not_found",
            "there is no such request",
            "`accord subject-request list` shows the requests",
        )
    check_logged(row)
    return row


def find_open_row(tenant: str, request_id: str) -> SubjectRequestTable:
    """The same, if it is open. Raises ``subject_request.closed`` too."""
    row = find_row(tenant, request_id)
    if row.closed_at is not None:
        raise SubjectRequestError(
            "subject_request.closed",
            "the request is closed",
            "enter a new request: `accord subject-request add`",
        )
    return row


def find_verified_row(tenant: str, request_id: str) -> SubjectRequestTable:
    """The same, if its number is verified. Raises ``subject_request.unverified`` too."""
    row = find_open_row(tenant, request_id)
    check_verified(row)
    return row


def check_verified(row: SubjectRequestTable) -> None:
    """Raises ``subject_request.unverified``."""
    if row.verified_at is None:
        raise SubjectRequestError(
            "subject_request.unverified",
            "the number is not verified",
            "verify it by a call, or have two people vouch for the requester",
        )


def check_unverified(row: SubjectRequestTable) -> None:
    """Raises ``subject_request.verified``."""
    if row.verified_at is not None:
        raise SubjectRequestError(
            "subject_request.verified", "the number has been verified before", "no further proof is needed"
        )


def number_commitment(row: SubjectRequestTable) -> str:
    """What the log contains in place of the number."""
    return commit_text(row.number, row.number_salt)


def check_logged(row: SubjectRequestTable) -> None:
    """Raises :class:`SubjectRequestError` (``subject_request.not_logged``) if a row contradicts the
    customer's log: then nothing is disclosed or erased. Works inside the caller's transaction."""
    if _logged(row) != {name: getattr(row, name) for name in _LOGGED} | {
        "number_sha256": number_commitment(row)
    }:
        raise not_logged_error(f"request {row.id}")


def not_logged_error(what: str) -> SubjectRequestError:
    """The error for a row that contradicts the log."""
    hint = "run `accord audit run`, and compare with a backup of the catalogue"
    return SubjectRequestError("subject_request.not_logged", f"the row of {what} contradicts the log", hint)


def change_row(row: SubjectRequestTable, leaf: Leaf, **values: Any) -> None:
    """Change a row, and add the leaf that states the change."""
    row.leaves = [*(row.leaves or ()), leaf.number]
    SubjectRequestTable.update(leaves=row.leaves, **values).where(SubjectRequestTable.id == row.id).execute()


def tenant_of(tenant: str) -> Any:
    """A tenant's row. Raises :class:`SubjectRequestError` (``subject_request.not_found``)."""
    row = TenantTable.get_or_none(TenantTable.id == tenant)
    if row is None:
        raise SubjectRequestError(
            "subject_request.not_found",
            "there is no such customer",
            "`accord tenant list` shows the customers",
        )
    return row


_LOGGED: Final = (
    "wants", "language", "received_on", "due_on", "entered_kind", "extended_at", "vouched_at", "vouched_by",
    "verified_at", "verified_how", "verified_by", "closed_at", "closed_how", "exported_at", "entered_at",
    "recording_id",
)  # fmt: skip


def _logged(row: SubjectRequestTable) -> dict[str, Any]:
    """The columns that a row's leaves state; empty if one of them is missing or another request's."""
    found: dict[str, Any] = dict.fromkeys(_LOGGED)
    for number in row.leaves or ():
        leaf = leaf_lookup.find_leaf(row.tenant_id, number)
        if leaf is None or leaf.body.get("request") != row.id or leaf.kind not in _COLUMNS:
            return {}
        found |= _COLUMNS[leaf.kind](leaf)
    return found


def _request_columns(leaf: leaf_lookup.LoggedLeaf) -> dict[str, Any]:
    names = ("wants", "language", "received_on", "due_on", "number_sha256")
    found = {name: leaf.body.get(name) for name in names} | {"entered_kind": leaf.body.get("by")}
    return found | {"entered_at": leaf.at, "recording_id": leaf.body.get("recording")}


def _vouched(leaf: leaf_lookup.LoggedLeaf) -> dict[str, Any]:
    first = leaf.body.get("vouch") == 1
    return {"vouched_at": leaf.at, "vouched_by": leaf.body.get("actor")} if first else {}


def _proved(leaf: leaf_lookup.LoggedLeaf) -> dict[str, Any]:
    return {
        "verified_at": leaf.at,
        "verified_how": leaf.body.get("how"),
        "verified_by": leaf.body.get("actor"),
    }


_COLUMNS: Final[Mapping[str, Callable[[leaf_lookup.LoggedLeaf], dict[str, Any]]]] = {
    RECEIVED: _request_columns,
    EXTENDED: lambda leaf: {"due_on": leaf.body.get("due_on"), "extended_at": leaf.at},
    VOUCHED: _vouched,
    PROVED: _proved,
    CLOSED: lambda leaf: {"closed_at": leaf.at, "closed_how": leaf.body.get("how")},
    EXPORTED: lambda leaf: {"exported_at": leaf.at},
}
