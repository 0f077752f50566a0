"""Disputes in the catalogue: their statements, each verified and compared with the log before it is believed,
and the indexes that lead to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import structlog

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append
from recorder.catalogue.database import connected
from recorder.catalogue.prepared_query import prepared
from recorder.catalogue.tables.dispute import (
    DisputeGuestTable,
    DisputeNewsTable,
    DisputeRecordingTable,
    DisputeStatementTable,
    DisputeTable,
)
from recorder.catalogue.tables.recording import RecordingTable
from recorder.domain.roles import SUPPORT
from recorder.errors import DisputeError, SealError
from recorder.features.disputes import rules
from recorder.features.disputes.rules import Dispute
from recorder.identity.secret_tokens import token_hash
from recorder.ids import Entropy
from recorder.seal import hints
from recorder.seal.dispute_kinds import CLOSED, OUTCOME_CONFIRMED, OUTCOME_RECORDED
from recorder.seal.dispute_statement import DisputeStatement, check_chain, read
from recorder.seal.revocation import Trust, is_doubtful

STATED: Final = "dispute.stated"

READS: Final = 3
"""How often statements and their leaves are read where their numbers differ: somebody may state something
between the two."""

_IDS: Final = DisputeTable.select(DisputeTable.tenant_id, DisputeTable.id)

log = structlog.get_logger()


def find_dispute(tenant: str, dispute: str, trust: Trust) -> Dispute:
    """A customer's dispute, as signed and logged. Raises :class:`DisputeError` (``dispute.not_found``),
    :class:`SealError` where statements and log do not agree."""
    with connected():
        for _ in range(READS):
            rows = list(_statements(tenant, dispute))
            leaves = leaf_lookup.leaves_about(tenant, [dispute], [STATED])
            if len(rows) == len(leaves):
                break
    if not rows and not leaves:
        raise DisputeError(
            "dispute.not_found", f"there is no dispute {dispute}", "open it from the list of disputes"
        )
    found = [read(row.statement, trust) for row in rows]
    check_chain(tenant, dispute, found)
    _check_logged(dispute, found, rows, leaves, trust)
    try:
        state = rules.replay(found)
    except DisputeError as error:
        raise SealError(
            "dispute.contradiction", f"dispute {dispute}: {error.message}", hints.COMPARE
        ) from error
    assert state is not None
    return state


@prepared(DisputeStatementTable)
def _statements(tenant: str, dispute: str) -> Any:
    mine = (DisputeStatementTable.tenant_id == tenant) & (DisputeStatementTable.dispute_id == dispute)
    return DisputeStatementTable.select().where(mine).order_by(DisputeStatementTable.number)


def _check_logged(
    dispute: str,
    found: Sequence[DisputeStatement],
    rows: Sequence[DisputeStatementTable],
    leaves: Sequence[leaf_lookup.LoggedLeaf],
    trust: Trust,
) -> None:
    """Refuse statements that the log does not have, and fewer than it has: the last ones may be missing."""
    logged = [(leaf.body.get("number"), leaf.body.get("statement_sha256")) for leaf in leaves]
    if logged != [(each.number, each.sha256) for each in found]:
        what = f"the statements of dispute {dispute} are not those of the log"
        raise SealError("dispute.superseded", what, hints.COMPARE)
    for each, leaf in zip(found, leaves, strict=True):
        key = each.signing_key_id
        if is_doubtful(key, each.at, leaf.at, trust.revoked()):
            what = f"key {key}, which signed statement {each.number} of dispute {dispute}, was revoked"
            raise SealError("seal.key_revoked", what, hints.COMPARE)


def signed_statements(tenant: str, dispute: str) -> tuple[str, ...]:
    """The bytes of a dispute's statements, in order."""
    with connected():
        return tuple(row.statement for row in _statements(tenant, dispute))


def uncopied_disputes() -> tuple[tuple[str, str], ...]:
    """The customers and ids of disputes of which the bucket lacks a statement."""
    with connected():
        rows = _IDS.where(DisputeTable.copied_beside.is_null())
        return tuple((row.tenant_id, row.id) for row in rows.order_by(DisputeTable.id))


def note_copies(dispute: Dispute, recording: str) -> None:
    """Inside the caller's transaction, which has locked the customer: note that the bucket has a dispute's
    statements beside a recording, unless more were added meanwhile. The recording's id suffices: what is
    missing there, the audit names."""
    if len(signed_statements(dispute.tenant, dispute.id)) == len(dispute.statements):
        DisputeTable.update(copied_beside=recording).where(DisputeTable.id == dispute.id).execute()


def add_statement(statement: DisputeStatement, signed: str, now: datetime, entropy: Entropy) -> None:
    """Inside the caller's transaction, which has locked the customer: add a statement, with its leaf."""
    _insert_statement(statement, signed)
    body = {"dispute": statement.dispute, "number": statement.number, "kind": statement.kind}
    body |= {"statement_sha256": statement.sha256, "actor": statement.by.id or ""}
    append(statement.tenant, STATED, body, now, entropy, recording=statement.dispute)


def restore_statements(
    tenant: str,
    dispute: str,
    statements: Sequence[tuple[DisputeStatement, str]],
    now: datetime,
    entropy: Entropy,
) -> None:
    """Inside the caller's transaction, which has locked the customer: add statements that the catalogue lost,
    each with a leaf, unless the log still has it. Ids suffice: it only adds, and :func:`find_dispute`
    verifies what it added."""
    leaves = leaf_lookup.leaves_about(tenant, [dispute], [STATED])
    logged = {leaf.body.get("statement_sha256") for leaf in leaves}
    for statement, signed in statements:
        if statement.sha256 in logged:
            _insert_statement(statement, signed)
        else:
            add_statement(statement, signed, now, entropy)


def _insert_statement(statement: DisputeStatement, signed: str) -> None:
    DisputeStatementTable.create(
        id=f"{statement.dispute}/{statement.number}", tenant_id=statement.tenant,
        dispute_id=statement.dispute, number=statement.number, statement=signed,
    )  # fmt: skip


def index_dispute(dispute: Dispute) -> None:
    """Inside the caller's transaction: write the indexes of a dispute as its statements say."""
    columns = {
        "settle_by": dispute.settle_by.isoformat(), "closed_at": dispute.closed_at,
        "final_at": final_at(dispute), "copied_beside": None,
        "news_at": dispute.statements[-1].at,
        "page_sha256": dispute.outcome.page_sha256 if dispute.outcome else None,
    }  # fmt: skip
    DisputeTable.insert(
        id=dispute.id, tenant_id=dispute.tenant, opened_at=dispute.opened_at, **columns
    ).on_conflict(conflict_target=[DisputeTable.id], update=columns).execute()
    for recording in dispute.recording_ids:
        DisputeRecordingTable.insert(
            id=f"{dispute.id}/{recording}", tenant_id=dispute.tenant, dispute_id=dispute.id,
            recording_id=recording,
        ).on_conflict_ignore().execute()  # fmt: skip
    for guest in dispute.guests:
        token = {"token_sha256": guest.token_sha256}
        DisputeGuestTable.insert(
            id=guest.id, tenant_id=dispute.tenant, dispute_id=dispute.id, role=guest.role, **token
        ).on_conflict(conflict_target=[DisputeGuestTable.id], update=token).execute()


def final_at(dispute: Dispute) -> datetime | None:
    """When a dispute's outcome is to be sealed beside its recordings; ``None`` once it is, and where both
    sides have not agreed."""
    if dispute.closed_at is not None or dispute.outcome is None or dispute.outcome.page_sha256 is not None:
        return None
    return dispute.outcome.final_at


def due_outcomes(now: datetime) -> frozenset[tuple[str, str]]:
    """The customers and ids of disputes whose rows say that their outcome is to be sealed now."""
    with connected():
        return frozenset((row.tenant_id, row.id) for row in _IDS.where(DisputeTable.final_at <= now))


def unsealed_outcomes(since: datetime) -> frozenset[tuple[str, str]]:
    """The customers and ids of disputes in which an outcome was confirmed since a time, and not sealed yet,
    according to the log; with those about which a leaf is not as it was written."""
    found = set[tuple[str, str]]()
    for tenant, dispute, leaf in leaf_lookup.statements_since(since):
        if leaf is None or leaf.body["kind"] == OUTCOME_CONFIRMED:
            found.add((tenant, dispute))
        elif leaf.body["kind"] in (OUTCOME_RECORDED, CLOSED):
            found.discard((tenant, dispute))
    return frozenset(found)


def disputes_with_news(now: datetime) -> tuple[tuple[str, str], ...]:
    """The customers and ids of disputes whose people are to be told something now."""
    with connected():
        rows = _IDS.where(DisputeTable.news_at <= now).order_by(DisputeTable.news_at, DisputeTable.id)
        return tuple((row.tenant_id, row.id) for row in rows)


def note_news_time(dispute: str, at: datetime | None) -> None:
    """Inside the caller's transaction: note when a dispute's people are next to be told something."""
    DisputeTable.update(news_at=at).where(DisputeTable.id == dispute).execute()


def news_marks(tenant: str, dispute: str) -> dict[str, DisputeNewsTable]:
    """How far each of a dispute's people was told, by their id."""
    mine = (DisputeNewsTable.tenant_id == tenant) & (DisputeNewsTable.dispute_id == dispute)
    with connected():
        return {row.user_id: row for row in DisputeNewsTable.select().where(mine)}


def note_news(
    dispute: Dispute, user: str, newest: DisputeStatement, *, mailed: int, mailed_at: datetime | None
) -> None:
    """Inside the caller's transaction: note how far somebody was told."""
    columns = {"number": newest.number, "at": newest.at, "mailed": mailed, "mailed_at": mailed_at}
    DisputeNewsTable.insert(
        id=f"{dispute.id}/{user}", tenant_id=dispute.tenant, dispute_id=dispute.id, user_id=user, **columns
    ).on_conflict(conflict_target=[DisputeNewsTable.id], update=columns).execute()


def note_page(dispute: str, token: str) -> None:
    """Inside the caller's transaction: note the token that leads to the page of a dispute's outcome."""
    DisputeTable.update(page_token=token).where(DisputeTable.id == dispute).execute()


def find_page(token: str) -> tuple[str, str] | None:
    """The ids of the customer and the dispute whose outcome has a page with this token."""
    with connected():
        row = DisputeTable.get_or_none(DisputeTable.page_sha256 == token_hash(token))
    return None if row is None else (row.tenant_id, row.id)


def page_token(dispute: str) -> str | None:
    """The token that leads to the page of a dispute's outcome, once it is sealed."""
    with connected():
        row = DisputeTable.get_or_none(DisputeTable.id == dispute)
    return None if row is None else row.page_token


def disputes_for_support() -> tuple[tuple[str, str], ...]:
    """The customers and ids of open disputes that the provider's support is called to, oldest first."""
    for_support = DisputeGuestTable.role == SUPPORT
    with connected():
        rows = (
            DisputeTable.select(DisputeTable.tenant_id, DisputeTable.id, DisputeTable.opened_at)
            .join(DisputeGuestTable, on=(DisputeGuestTable.dispute_id == DisputeTable.id))
            .where(for_support & DisputeTable.closed_at.is_null())
            .order_by(DisputeTable.opened_at)
            .distinct()
        )
        return tuple((row.tenant_id, row.id) for row in rows)


def erased_disputes() -> tuple[tuple[str, str], ...]:
    """The customers and ids of closed disputes of whose recordings none is left."""
    left = (
        DisputeRecordingTable.select(DisputeRecordingTable.dispute_id)
        .join(RecordingTable, on=(RecordingTable.id == DisputeRecordingTable.recording_id))
        .where(RecordingTable.erased_at.is_null())
    )
    with connected():
        closed = DisputeTable.closed_at.is_null(False)
        rows = _IDS.where(closed & DisputeTable.id.not_in(left))
        return tuple((row.tenant_id, row.id) for row in rows)


def find_link(token_sha256: str) -> tuple[str, str, str] | None:
    """The ids of the customer, dispute and guest of a link, by its token's hash."""
    with connected():
        row = DisputeGuestTable.get_or_none(DisputeGuestTable.token_sha256 == token_sha256)
    return None if row is None else (row.tenant_id, row.dispute_id, row.id)


def find_guest(tenant: str, guest: str) -> str | None:
    """The id of a guest's dispute."""
    with connected():
        return next((row.dispute_id for row in _guest(tenant, guest)), None)


@prepared(DisputeGuestTable)
def _guest(tenant: str, guest: str) -> Any:
    mine = (DisputeGuestTable.tenant_id == tenant) & (DisputeGuestTable.id == guest)
    return DisputeGuestTable.select().where(mine)


def dispute_ids(tenant: str) -> tuple[str, ...]:
    """The ids of a customer's disputes."""
    with connected():
        rows = DisputeTable.select(DisputeTable.id).where(DisputeTable.tenant_id == tenant)
        return tuple(row.id for row in rows)


def disputes_about(tenant: str, recording: str) -> tuple[str, ...]:
    """The ids of a customer's disputes about a recording, newest first."""
    with connected():
        mine = (DisputeRecordingTable.tenant_id == tenant) & (DisputeRecordingTable.recording_id == recording)
        rows = DisputeRecordingTable.select().where(mine).order_by(DisputeRecordingTable.dispute_id.desc())
        return tuple(row.dispute_id for row in rows)
