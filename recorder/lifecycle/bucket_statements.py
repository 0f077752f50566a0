"""What signed statements in the bucket say about customers who left and erased calls, and the catalogue does
not know: after a restore or a rebuild.

Looking erases nothing.  Commands of their own erase again what was erased, and look once more before they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.catalogue import departures, erased_call_queries, queries
from recorder.clock import to_iso
from recorder.errors import SealError
from recorder.lifecycle.departure import last_cancellation
from recorder.seal import call_erasure, offboarding
from recorder.seal.call_erasure import NOTES, ErasedCallsRecord
from recorder.seal.document_source import read_document
from recorder.seal.keyring import key_part
from recorder.seal.offboarding import ERASURE, OffboardingReceipt, Statement
from recorder.seal.revocation import Revoked
from recorder.store.contract import NotFound, Store


@dataclass(frozen=True, slots=True)
class Trouble:
    """An object that nothing follows from, and why."""

    place: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Leaver:
    """A customer who leaves, or left: the statement that stands, and the receipt."""

    tenant: str
    statement: Statement | None
    receipt: OffboardingReceipt | None

    @property
    def erased(self) -> bool:
        """Whether it was signed that everything of it is erased."""
        return self.receipt is not None or (self.statement is not None and self.statement.kind == ERASURE)


@dataclass(frozen=True, slots=True)
class ErasureProposal:
    """A note, its id, and the calls in it that the catalogue does not know as erased."""

    id: str
    note: ErasedCallsRecord
    calls: tuple[str, ...]


@dataclass(slots=True)
class BucketStatements:
    """What the bucket says; everything that cannot be read or followed is a trouble of its own."""

    leavers: list[Leaver] = field(default_factory=list)
    notes: list[ErasureProposal] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)


def look(
    store: Store, root: Ed25519PublicKey, revoked: Revoked, *, believe_dates: bool = False, tenant: str = ""
) -> BucketStatements:
    """All of the bucket, or a ``tenant``'s.  What a ``revoked`` key signed is not followed, but with
    ``believe_dates`` a receipt or note that is dated before.  Raises :class:`recorder.errors.StoreError`."""
    found = BucketStatements()
    below = f"{key_part(tenant)}/" if tenant else ""
    owners: dict[str, None] = {}
    for key in list(store.list(offboarding.FOLDER + below)):
        if offboarding.is_known(key):
            owners[key.removeprefix(offboarding.FOLDER).partition("/")[0]] = None
        else:
            found.troubles.append(Trouble(key, "object.unplaced", "nothing of Accord's is called so"))
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
    statement, receipt = None, None

    def blame(error: SealError, place: str) -> None:
        found.troubles.append(Trouble(place, error.error_id, error.message))

    try:
        every = offboarding.statements(store, tenant, root)
        _check_cancelled(tenant, every)
        if every and every[-1].key_id in revoked:
            blame(_revoked(every[-1].key_id), f"{offboarding.FOLDER}{tenant}/")
        elif every and every[-1].kind != offboarding.CANCELLED:
            statement = every[-1]
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
        found.leavers.append(Leaver(tenant, statement, receipt))


def _check_cancelled(tenant: str, every: Sequence[Statement]) -> None:
    """That what the log says was called off is called off in the bucket too: the last statements alone can be
    taken away without a gap.  Raises :class:`SealError` (``offboarding.missing``)."""
    stays = last_cancellation(tenant)
    if stays is not None and stays not in {each.sha256 for each in every}:
        raise SealError(
            "offboarding.missing",
            f"the log says that customer {tenant} stays, and the statement that says so is not there",
            "it was taken away: look in the bucket for an older version of it",
        )


def _look_at_note(
    found: BucketStatements, key: str, store: Store, root: Ed25519PublicKey, revoked: Revoked, believe: bool
) -> None:
    try:
        ids = call_erasure.ids_in(key)
        if ids is None:
            raise SealError("object.unplaced", "nothing of Accord's is called so")
        tenant, name = ids
        note = call_erasure.read(read_document(store, key, call_erasure.MAX_BYTES), root)
        if note.tenant != tenant:
            raise SealError("call_erasure.foreign", f"it is a note of customer {note.tenant}")
        _check_key(note.key, note.at, revoked, believe)
    except SealError as error:
        found.troubles.append(Trouble(key, error.error_id, error.message))
        return
    recorded = erased_call_queries.recorded_among(note.calls)
    for each in sorted(recorded):
        what = f"it names call {each}, which was recorded: nothing of that is erased by it"
        found.troubles.append(Trouble(key, "call_erasure.names_recording", what))
    known = erased_call_queries.forgotten_among(note.calls) | recorded
    left = tuple(each for each in note.calls if each not in known)
    if left:
        found.notes.append(ErasureProposal(name, note, left))


def _check_key(key: str, at: datetime, revoked: Revoked, believe_dates: bool) -> None:
    since = revoked.get(key)
    if since is not None and not (believe_dates and at < since):
        raise _revoked(key, f"; it is dated {to_iso(at)}. Is it right? `--believe-dates`")


def _revoked(key: str, more: str = "") -> SealError:
    return SealError("seal.key_revoked", f"key {key}, which signed it, was revoked{more}")


def is_open(leaver: Leaver) -> bool:
    """Whether it was signed that a customer is erased, and the catalogue neither does it nor has done it."""
    if not leaver.erased or queries.tenant(leaver.tenant) is None:
        return False
    row = departures.departure(leaver.tenant)
    return row is None or (row.erasing_since is None and row.offboarded_at is None)
