"""The operator's decisions about a departing customer.

Each decision is signed and put into the bucket first; then the row and the leaf are written.  An interrupted
command is given again and resumes.
"""

from __future__ import annotations

from datetime import datetime

from recorder.auditlog.append import lock_tenant
from recorder.auditlog.complete_log import complete_log, signed_length
from recorder.catalogue import offboarding_progress, queries
from recorder.catalogue.database import writing
from recorder.clock import to_iso, truncate
from recorder.errors import CatalogueError, SealError
from recorder.features.offboarding import queries as offboarding_queries
from recorder.lifecycle import amendments
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.bucket_statements import SignedDeparture, is_open, read_statements
from recorder.lifecycle.departure import note_departure
from recorder.lifecycle.hold_review import holds_unconfirmed
from recorder.seal import offboarding
from recorder.seal.offboarding import (
    ANNOUNCED,
    CANCELLED,
    ERASURE,
    HANDED_OVER,
    Cancellation,
    Departure,
    ErasureStatement,
    HandedOver,
    Statement,
    StatementBody,
)

COMPLETE = "`accord offboarding erase-again`"


def current_statement(changes: Changes, tenant: str) -> Departure:
    """The signed statement in force about a departing customer. Raises :class:`CatalogueError`
    (``offboarding.not_announced``, ``offboarding.statement_missing`` if only a row says so),
    :class:`SealError` for an unreadable statement, :class:`recorder.errors.StoreError`."""
    found = offboarding.current_statement(changes.store, tenant, changes.root, changes.revoked())
    if found is not None:
        return found
    if offboarding_progress.find_offboarding(tenant) is None:
        offboarding_queries.require_departure(tenant)
    raise CatalogueError(
        "offboarding.statement_missing",
        "only a row says that this customer leaves: no valid signed statement does",
        "run `accord audit run`; then `accord offboarding cancel`, or announce it again",
    )


def announce(changes: Changes, tenant: str, until: datetime) -> Departure:
    """Announce that a customer leaves: its numbers are not recorded from now on, and it can download its
    archive until ``until``. Raises :class:`CatalogueError`: ``tenant.offboarding_announced`` (announced
    before), ``offboarding.until``, ``offboarding.complete``, ``tenant.unknown``; otherwise as
    :func:`current_statement`."""
    now, until = truncate(changes.now()), truncate(until)
    if until <= now:
        raise CatalogueError(
            "offboarding.until",
            "that day is in the past",
            "choose the day until which they can download their archive",
        )
    if queries.tenant(tenant) is None:
        raise CatalogueError("tenant.unknown", f"there is no tenant {tenant}", "see `accord tenant list`")
    found, last = _found(changes, tenant)
    if found is not None and offboarding_progress.find_offboarding(tenant) is not None:
        hint = "`accord offboarding show`"
        raise CatalogueError(
            "tenant.offboarding_announced", "this customer's departure was announced before", hint
        )
    if isinstance(found, ErasureStatement):
        raise CatalogueError("offboarding.complete", "this customer's erasure was signed before", COMPLETE)
    if found is None or found.until != until:
        first = StatementBody(tenant, 1, None, ANNOUNCED, now, now, until, None, None)
        more = {"announced_at": now, "until": until, "handed_over": None}
        body = first if last is None else last.next_statement(ANNOUNCED, now, **more)
        found = _put_departure(changes, body)
    note_departure(found, now=now, entropy=changes.entropy)
    return found


def cancel(changes: Changes, tenant: str) -> None:
    """Cancel a departure; the lines are added again by hand. Raises :class:`CatalogueError`:
    ``offboarding.not_announced``, ``offboarding.erasing``; otherwise as :func:`current_statement`."""
    now = truncate(changes.now())
    found, last = _found(changes, tenant)
    if found is None:
        offboarding_queries.require_departure(tenant)
    else:
        check_not_ordered(found)
    if not isinstance(last, Cancellation):
        first = StatementBody(tenant, 1, None, CANCELLED, now, now, now, None, None)
        last = _put(changes, first if last is None else last.next_statement(CANCELLED, now))
        assert isinstance(last, Cancellation)
    offboarding_queries.record_cancellation(last, now=now, entropy=changes.entropy)


def hand_over(changes: Changes, tenant: str, handed: HandedOver) -> str:
    """Sign that a customer's archive is complete; returns the statement's SHA-256. Raises
    :class:`CatalogueError` (``offboarding.erasing``); otherwise as :func:`current_statement`."""
    found = current_statement(changes, tenant)
    check_not_ordered(found)
    if found.handed_over != handed:
        at = truncate(max(changes.now(), handed.at))
        found = _put_departure(changes, found.next_statement(HANDED_OVER, at, handed_over=handed))
    return found.sha256


def order_erasure(changes: Changes, tenant: str, *, early: str | None) -> ErasureStatement:
    """Order a customer's erasure; ``early`` is the reason if the announced day has not come. Raises
    :class:`CatalogueError`: ``offboarding.not_announced``, ``offboarding.too_early``,
    ``offboarding.erasing``; otherwise as :func:`current_statement`."""
    now = truncate(changes.now())
    found = current_statement(changes, tenant)
    if not isinstance(found, ErasureStatement):
        if now < found.until and not early:
            raise CatalogueError(
                "offboarding.too_early",
                f"the customer was told that the archive can be downloaded until {to_iso(found.until)}",
                "wait for that day, or state in --early how they agreed to an earlier one",
            )
        found = _put_order(changes, found.next_statement(ERASURE, now, early=early or ""))
    elif (row := offboarding_progress.find_offboarding(tenant)) is not None and row.erasing_since is not None:
        check_not_ordered(found)
    record_order(changes, found)
    return found


def record_order(changes: Changes, statement: ErasureStatement) -> None:
    """Record an order of erasure, for the worker to find."""
    offboarding_queries.record_erasure(statement, now=changes.now(), entropy=changes.entropy)


def erase_again(changes: Changes, tenant: str, announced_at: datetime) -> ErasureStatement:
    """Order the erasure again of a customer that already has a receipt, if no other statement is in force.
    Raises as :func:`current_statement`."""
    now = truncate(changes.now())
    _, last = _found(changes, tenant)
    early = "by the receipt of its offboarding"
    number, predecessor = (1, None) if last is None else (last.number + 1, last.sha256)
    return _put_order(
        changes, StatementBody(tenant, number, predecessor, ERASURE, now, announced_at, now, None, early)
    )


def check_not_ordered(statement: Departure) -> None:
    """Raises :class:`CatalogueError` (``offboarding.erasing``)."""
    if isinstance(statement, ErasureStatement):
        raise CatalogueError(
            "offboarding.erasing",
            f"all data of this customer is being erased since {to_iso(statement.at)}",
            "this cannot be cancelled; `accord offboarding show` shows the progress",
        )


def _found(changes: Changes, tenant: str) -> tuple[Departure | None, Statement | None]:
    """The statement in force, and the last one."""
    every = offboarding.statements(changes.store, tenant, changes.root)
    last = every[-1] if every else None
    if isinstance(last, Departure) and last.key_id not in changes.revoked():
        return last, last
    return None, last


def _put_order(changes: Changes, statement: StatementBody) -> ErasureStatement:
    last = _put(changes, statement)
    assert isinstance(last, ErasureStatement)
    return last


def _put_departure(changes: Changes, statement: StatementBody) -> Departure:
    last = _put(changes, statement)
    assert isinstance(last, Departure)
    return last


def _put(changes: Changes, statement: StatementBody) -> Departure | Cancellation:
    stored_statement = offboarding.put_statement(changes.store, statement, changes.signer, changes.root)
    changes.boundary("statement put")
    return stored_statement


def held_recordings(tenant: str) -> tuple[amendments.HoldRow, ...]:
    """Holds that must be decided before anything is erased."""
    return amendments.holds(tenant)


def check_ready(tenant: str) -> None:
    """Raises :class:`CatalogueError`: ``offboarding.holds_unconfirmed``, ``offboarding.held`` (with the
    holds)."""
    if holds_unconfirmed() is not None:
        raise CatalogueError(
            "offboarding.holds_unconfirmed",
            "the legal holds are not confirmed after a restore or rebuild: nothing is erased",
            "review them, then run `accord rebuild --confirm-holds`",
        )
    if holds := held_recordings(tenant):
        names = ", ".join(f"{each.recording} (hold {each.number}: {each.reason})" for each in holds[:20])
        more = f" and {len(holds) - 20} more" if len(holds) > 20 else ""
        raise CatalogueError(
            "offboarding.held",
            f"{len(holds)} recordings are on legal hold; decide each first: {names}{more}",
            "`accord hold lift`, once its owner no longer needs the recording",
        )


def check_log(changes: Changes, tenant: str) -> None:
    """Raises :class:`recorder.errors.AuditLogError` (``audit_log.incomplete``), since the worker erases
    nothing of a customer whose log is shorter than it was signed, as after a restore."""
    length = signed_length(tenant, changes.store, changes.root)
    with writing():
        complete_log(lock_tenant(tenant), length)


def check_handed_over(statement: Departure) -> None:
    """Raises :class:`CatalogueError` (``offboarding.not_handed_over``)."""
    if statement.handed_over is None:
        raise CatalogueError(
            "offboarding.not_handed_over",
            "nothing was handed over to this customer",
            "`accord offboarding export`; --without-export if they do not want it",
        )


def complete_erasure(changes: Changes, tenant: str, *, believe_dates: bool = False) -> None:
    """After a restore or rebuild, have the worker erase again a customer whose erasure was signed. Raises
    :class:`CatalogueError` (``offboarding.nothing_signed``, ``offboarding.holds_unconfirmed``,
    ``offboarding.held``), :class:`recorder.errors.AuditLogError` (``audit_log.incomplete``),
    :class:`SealError` for an invalid object, :class:`recorder.errors.StoreError`."""
    leaver = find_to_complete(changes, tenant, believe_dates=believe_dates)
    check_ready(tenant)
    check_log(changes, tenant)
    statement = leaver.statement
    if not isinstance(statement, ErasureStatement):
        assert leaver.receipt is not None
        statement = erase_again(changes, tenant, leaver.receipt.announced_at)
    record_order(changes, statement)


def find_to_complete(changes: Changes, tenant: str, *, believe_dates: bool) -> SignedDeparture:
    """The signed departure of a customer whose erasure is to be completed. Raises as
    :func:`complete_erasure`."""
    found = read_statements(
        changes.store, changes.root, changes.revoked(), believe_dates=believe_dates, tenant=tenant
    )
    for each in found.troubles:
        if each.place.startswith(offboarding.FOLDER):
            raise SealError(each.code, f"{each.place}: {each.message}", "`accord audit run`")
    leaver = next(iter(found.leavers), None)
    if leaver is None or not is_open(leaver):
        raise CatalogueError(
            "offboarding.nothing_signed",
            "no signed statement orders this customer's erasure, or the catalogue knows it already",
            "`accord offboarding show`",
        )
    return leaver
