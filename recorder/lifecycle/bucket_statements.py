"""Finds signed statements in the bucket, about departed customers and erased calls, that the catalogue does
not know after a restore or a rebuild.

Reading erases nothing. Separate commands repeat an erasure, and read again before they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.catalogue import erased_call_queries, offboarding_progress, queries
from recorder.clock import to_iso
from recorder.errors import SealError
from recorder.lifecycle.departure import last_cancellation
from recorder.seal import call_erasure, hints, offboarding
from recorder.seal.call_erasure import NOTES, ErasedCallsRecord
from recorder.seal.document_source import read_document
from recorder.seal.keyring import key_part
from recorder.seal.offboarding import Departure, ErasureStatement, OffboardingReceipt, Statement
from recorder.seal.revocation import Revoked
from recorder.store.contract import NotFound, Store


@dataclass(frozen=True, slots=True)
class StatementProblem:
    """An object that is ignored, and why."""

    place: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class SignedDeparture:
    """A customer's departure as signed: the statement in force, and the receipt."""

    tenant: str
    statement: Departure | None
    receipt: OffboardingReceipt | None

    @property
    def erased(self) -> bool:
        """Whether it was signed that all of the customer's data is erased."""
        return self.receipt is not None or isinstance(self.statement, ErasureStatement)


@dataclass(frozen=True, slots=True)
class ErasureProposal:
    """A note, its id, and those of its calls that the catalogue does not know as erased."""

    id: str
    note: ErasedCallsRecord
    calls: tuple[str, ...]


@dataclass(slots=True)
class BucketStatements:
    """The statements in the bucket; each that is unreadable or ignored is in ``troubles``."""

    leavers: list[SignedDeparture] = field(default_factory=list)
    notes: list[ErasureProposal] = field(default_factory=list)
    troubles: list[StatementProblem] = field(default_factory=list)


def read_statements(
    store: Store, root: Ed25519PublicKey, revoked: Revoked, *, believe_dates: bool = False, tenant: str = ""
) -> BucketStatements:
    """Read all of the bucket, or what concerns one ``tenant``. Documents by a ``revoked`` key are ignored,
    except receipts and notes dated before the revocation if ``believe_dates`` is set. Raises
    :class:`recorder.errors.StoreError`."""
    found = BucketStatements()
    below = f"{key_part(tenant)}/" if tenant else ""
    owners: dict[str, None] = {}
    for key in list(store.list(offboarding.FOLDER + below)):
        if offboarding.is_known(key):
            owners[key.removeprefix(offboarding.FOLDER).partition("/")[0]] = None
        else:
            found.troubles.append(
                StatementProblem(key, "object.unplaced", "Accord has no object of that name")
            )
    for owner in owners:
        _look_at_leaver(found, owner, store, root, revoked, believe_dates)
    for key in list(store.list(NOTES + below)):
        _look_at_note(found, key, store, root, revoked, believe_dates)
    return found


def _look_at_leaver(
    found: BucketStatements,
    tenant: str,
    store: Store,
    root: Ed25519PublicKey,
    revoked: Revoked,
    believe: bool,
) -> None:
    statement: Departure | None = None
    receipt: OffboardingReceipt | None = None

    def blame(error: SealError, place: str) -> None:
        found.troubles.append(StatementProblem(place, error.error_id, error.message))

    try:
        every = offboarding.statements(store, tenant, root)
        _check_cancelled(tenant, every)
        last = every[-1] if every else None
        if last is not None and last.key_id in revoked:
            blame(_revoked(last.key_id), f"{offboarding.FOLDER}{tenant}/")
        elif isinstance(last, Departure):
            statement = last
    except SealError as error:
        blame(error, f"{offboarding.FOLDER}{tenant}/")
    try:
        receipt = offboarding.receipt_of(store, tenant, root)
        _check_key(receipt.key, receipt.at, revoked, believe)
    except NotFound:
        pass
    except SealError as error:
        receipt = None
        blame(error, f"{offboarding.FOLDER}{tenant}/{offboarding.RECEIPT}")
    if statement is not None or receipt is not None:
        found.leavers.append(SignedDeparture(tenant, statement, receipt))


def _check_cancelled(tenant: str, every: Sequence[Statement]) -> None:
    """Check that a cancellation in the log is in the bucket too: deleting the last statements leaves no gap
    in their numbers. Raises :class:`SealError` (``offboarding.missing``)."""
    stays = last_cancellation(tenant)
    if stays is not None and stays not in {each.sha256 for each in every}:
        raise SealError(
            "offboarding.missing",
            f"the log says that customer {tenant}'s departure was cancelled, but the statement is missing",
            "it was deleted: look in the bucket for an older version of it",
        )


def _look_at_note(
    found: BucketStatements, key: str, store: Store, root: Ed25519PublicKey, revoked: Revoked, believe: bool
) -> None:
    try:
        ids = call_erasure.ids_in(key)
        if ids is None:
            raise SealError("object.unplaced", "Accord has no object with that name", hints.FOREIGN_OBJECT)
        tenant, name = ids
        note = call_erasure.read(read_document(store, key, call_erasure.MAX_BYTES), root)
        if note.tenant != tenant:
            raise SealError("call_erasure.foreign", f"it is the note of customer {note.tenant}", hints.OBJECT)
        _check_key(note.key, note.at, revoked, believe)
    except SealError as error:
        found.troubles.append(StatementProblem(key, error.error_id, error.message))
        return
    recorded = erased_call_queries.recorded_among(note.calls)
    for each in sorted(recorded):
        what = f"it names call {each}, which was recorded, and is ignored for it"
        found.troubles.append(StatementProblem(key, "call_erasure.names_recording", what))
    known = erased_call_queries.erased_among(note.calls) | recorded
    left = tuple(each for each in note.calls if each not in known)
    if left:
        found.notes.append(ErasureProposal(name, note, left))


def _check_key(key: str, at: datetime, revoked: Revoked, believe_dates: bool) -> None:
    since = revoked.get(key)
    if since is not None and not (believe_dates and at < since):
        raise _revoked(key, f"; it is dated {to_iso(at)}. If that date is right: `--believe-dates`")


def _revoked(key: str, more: str = "") -> SealError:
    return SealError(
        "seal.key_revoked",
        f"it is signed by key {key}, which was revoked{more}",
        "treat it as unverified, and find out who had the key",
    )


def is_open(leaver: SignedDeparture) -> bool:
    """Whether a customer's erasure was signed and the catalogue has neither started nor finished it."""
    if not leaver.erased or queries.tenant(leaver.tenant) is None:
        return False
    row = offboarding_progress.find_offboarding(leaver.tenant)
    return row is None or (row.erasing_since is None and row.offboarded_at is None)
