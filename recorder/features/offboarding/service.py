"""The operator's decisions about a departing customer.

Each decision is signed and put into the bucket first; then the row and the leaf are written.  An interrupted
command is given again and resumes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from recorder.catalogue import departures, queries
from recorder.clock import to_iso, truncate
from recorder.errors import CatalogueError
from recorder.features.offboarding import queries as offboarding_queries
from recorder.lifecycle import amendments
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.departure import note_departure
from recorder.lifecycle.hold_review import holds_unconfirmed
from recorder.seal import offboarding
from recorder.seal.offboarding import ANNOUNCED, CANCELLED, ERASURE, HANDED_OVER, HandedOver, Statement

COMPLETE = "`accord tenant leave complete`"


def standing(changes: Changes, tenant: str) -> Statement:
    """The signed statement in force about a departing customer.  Raises :class:`CatalogueError`
    (``offboarding.not_announced``, ``offboarding.statement_missing`` where only a row says so),
    :class:`SealError` where a statement cannot be read, :class:`recorder.errors.StoreError`."""
    found = offboarding.current_statement(changes.store, tenant, changes.root, changes.revoked())
    if found is not None:
        return found
    if departures.departure(tenant) is None:
        offboarding_queries.standing(tenant)
    raise CatalogueError(
        "offboarding.statement_missing",
        "a row says that this customer leaves, and nothing that was signed does, or its key was revoked",
        "`accord audit`; then `accord tenant leave stop`, or announce it anew",
    )


def announce(changes: Changes, tenant: str, until: datetime) -> Statement:
    """Announce that a customer leaves: its numbers are not recorded from now on, and it can download its
    archive until ``until``.  Raises :class:`CatalogueError`: ``tenant.offboarding_announced`` (it was
    announced before), ``offboarding.until``, ``offboarding.complete``, ``tenant.unknown``; else as
    :func:`standing`."""
    now, until = truncate(changes.now()), truncate(until)
    if until <= now:
        raise CatalogueError(
            "offboarding.until", "that day is over", "name one on which they have fetched it"
        )
    if queries.tenant(tenant) is None:
        raise CatalogueError("tenant.unknown", f"there is no tenant {tenant}", "see `accord tenant list`")
    found, last = _found(changes, tenant)
    if found is not None and departures.departure(tenant) is not None:
        hint = "`accord tenant leave show`"
        raise CatalogueError(
            "tenant.offboarding_announced", "that this customer leaves was announced before", hint
        )
    if found is not None and found.kind == ERASURE:
        raise CatalogueError("offboarding.complete", "it was signed that this customer is erased", COMPLETE)
    if found is None or found.until != until:
        first = Statement(tenant, 1, None, ANNOUNCED, now, now, until)
        more = {"announced_at": now, "until": until, "handed_over": None}
        found = _put(changes, first if last is None else last.next_statement(ANNOUNCED, now, **more))
    note_departure(tenant, found.announced_at, found.until, found.sha256, now=now, entropy=changes.entropy)
    return found


def cancel(changes: Changes, tenant: str) -> None:
    """Call a departure off; the lines are added again by hand.  Raises :class:`CatalogueError`:
    ``offboarding.not_announced``, ``offboarding.erasing``; else as :func:`standing`."""
    now = truncate(changes.now())
    found, last = _found(changes, tenant)
    if found is None:
        offboarding_queries.standing(tenant)
    else:
        check_not_erasing(found)
    if last is None:
        last = _put(changes, Statement(tenant, 1, None, CANCELLED, now, now, now))
    elif last.kind != CANCELLED:
        last = _put(changes, last.next_statement(CANCELLED, now))
    offboarding_queries.stays(tenant, last.sha256, now=now, entropy=changes.entropy)


def hand_over(changes: Changes, tenant: str, handed: HandedOver) -> str:
    """Sign that a customer's archive is complete; returns the statement's SHA-256.  Raises
    :class:`CatalogueError` (``offboarding.erasing``); else as :func:`standing`."""
    found = standing(changes, tenant)
    check_not_erasing(found)
    if found.handed_over != handed:
        at = truncate(max(changes.now(), handed.at))
        found = _put(changes, found.next_statement(HANDED_OVER, at, handed_over=handed))
    return found.sha256


def decide(changes: Changes, tenant: str, *, early: str | None) -> Statement:
    """Order a customer's erasure; ``early`` is the reason where its day has not come.  Raises
    :class:`CatalogueError`: ``offboarding.not_announced``, ``offboarding.too_early``,
    ``offboarding.erasing``; else as :func:`standing`."""
    now = truncate(changes.now())
    found = standing(changes, tenant)
    if found.kind != ERASURE:
        if now < found.until and not early:
            raise CatalogueError(
                "offboarding.too_early",
                f"they were told that they can fetch it until {to_iso(found.until)}",
                "wait for that day, or say in --early how they agreed to an earlier one",
            )
        found = _put(changes, found.next_statement(ERASURE, now, early=early or ""))
    elif (row := departures.departure(tenant)) is not None and row.erasing_since is not None:
        check_not_erasing(found)
    write_down(changes, found)
    return found


def write_down(changes: Changes, said: Statement) -> None:
    """Write down a signed order of erasure, for the worker to find."""
    offboarding_queries.erasing(
        said.tenant,
        said.announced_at,
        said.until,
        said.at,
        said.sha256,
        early=said.early or "",
        handed_over=said.handed_over is not None,
        now=changes.now(),
        entropy=changes.entropy,
    )


def erase_again(changes: Changes, tenant: str, announced_at: datetime) -> Statement:
    """Order the erasure again of a customer that already has a receipt, where no other statement is in
    force.  Raises as :func:`current_statement`."""
    now = truncate(changes.now())
    _, last = _found(changes, tenant)
    early = "by the receipt of its offboarding"
    made = Statement(tenant, 1, None, ERASURE, now, announced_at, now, None, early)
    if last is not None:
        made = replace(made, number=last.number + 1, predecessor=last.sha256)
    return _put(changes, made)


def check_not_erasing(said: Statement) -> None:
    """Raises :class:`CatalogueError` (``offboarding.erasing``)."""
    if said.kind == ERASURE:
        raise CatalogueError(
            "offboarding.erasing",
            f"everything of this customer is being destroyed since {to_iso(said.at)}",
            "that cannot be called off; `accord tenant leave show` says how far it is",
        )


def _found(changes: Changes, tenant: str) -> tuple[Statement | None, Statement | None]:
    """The statement in force, and the last one."""
    every = offboarding.statements(changes.store, tenant, changes.root)
    last = every[-1] if every else None
    holds = last is not None and last.kind != CANCELLED and last.key_id not in changes.revoked()
    return (last if holds else None), last


def _put(changes: Changes, said: Statement) -> Statement:
    made = offboarding.put_statement(changes.store, said, changes.signer, changes.root)
    changes.boundary("statement put")
    return made


def held(tenant: str) -> tuple[amendments.HoldRow, ...]:
    """Holds that must be decided before anything is erased."""
    return amendments.holds(tenant)


def check_ready(tenant: str) -> None:
    """Raises :class:`CatalogueError`: ``offboarding.holds_unconfirmed``, ``offboarding.held`` (it names
    them)."""
    if holds_unconfirmed() is not None:
        raise CatalogueError(
            "offboarding.holds_unconfirmed",
            "after a restore or rebuild the holds are not confirmed: nothing is destroyed",
            "look at them, then `accord rebuild --confirm-holds`",
        )
    if holds := held(tenant):
        named = ", ".join(f"{each.recording} (hold {each.number}: {each.reason})" for each in holds[:20])
        more = f" and {len(holds) - 20} more" if len(holds) > 20 else ""
        raise CatalogueError(
            "offboarding.held",
            f"{len(holds)} recordings are held, each is to be decided first: {named}{more}",
            "`accord hold lift`, once whoever it was held for has what they need of it",
        )


def check_handed_over(said: Statement) -> None:
    """Raises :class:`CatalogueError` (``offboarding.not_handed_over``)."""
    if said.handed_over is None:
        raise CatalogueError(
            "offboarding.not_handed_over",
            "nothing was handed over to this customer",
            "`accord tenant leave hand-over`; --without-handing-over where they want none of it",
        )
