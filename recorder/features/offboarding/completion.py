"""Erases a customer again whose erasure was signed before the catalogue was restored or rebuilt."""

from __future__ import annotations

from recorder.errors import CatalogueError, SealError
from recorder.features.offboarding import service
from recorder.features.offboarding.service import check_ready
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.bucket_statements import (SignedDeparture, is_open, read_statements)
from recorder.seal import offboarding
from recorder.seal.offboarding import ERASURE


def complete_erasure(changes: Changes, tenant: str, *, believe_dates: bool = False) -> None:
    """Have the worker erase again, after a restore or rebuild, a customer of whom it was signed that they are
    erased.  Raises :class:`CatalogueError` (``offboarding.nothing_signed``,
    ``offboarding.holds_unconfirmed``, ``offboarding.held``), :class:`SealError` for an object that cannot be
    believed, :class:`recorder.errors.StoreError`."""
    leaver = find_to_complete(changes, tenant, believe_dates=believe_dates)
    check_ready(tenant)
    said = leaver.statement
    if said is None or said.kind != ERASURE:
        assert leaver.receipt is not None
        said = service.erase_again(changes, tenant, leaver.receipt.announced_at)
    service.record_order(changes, said)


def find_to_complete(changes: Changes, tenant: str, *, believe_dates: bool) -> SignedDeparture:
    """What was signed of a customer whose offboarding is to be completed.  Raises as :func:`complete_erasure`."""
    found = read_statements(changes.store, changes.root, changes.revoked(), believe_dates=believe_dates, tenant=tenant)
    for each in found.troubles:
        if each.place.startswith(offboarding.FOLDER):
            raise SealError(each.code, f"{each.place}: {each.message}", "`accord audit`")
    leaver = next(iter(found.leavers), None)
    if leaver is None or not is_open(leaver):
        raise CatalogueError(
            "offboarding.nothing_signed",
            "nothing signed says that this customer is erased, or the catalogue knows it already",
            "`accord tenant leave show`",
        )
    return leaver
