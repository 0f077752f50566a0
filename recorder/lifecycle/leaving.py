"""Everything of a customer who left is destroyed, and a signed receipt says so.

Each recording goes the way that all go: that it is to be deleted is sealed beside it, then its keys are
destroyed, every version of its objects, and a tombstone stands.  Then calls that were not recorded and the
customer's people are forgotten, and last of all the customer's own keys are destroyed, so that a copy of a
recording's wrapped key, wherever it was put away, opens nothing.  The log is signed, and the receipt put into
bucket and catalogue.  Killed anywhere it goes on: what is done is seen by what is there.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import __version__
from recorder.catalogue import amending, claims, customers, handing, leaving
from recorder.catalogue.hold_review import holds_unconfirmed
from recorder.catalogue.leaving import LeavingRow
from recorder.catalogue.rows import RecordingRow
from recorder.clock import to_iso
from recorder.errors import AccessError, CatalogueError, KeepingError, SealError, StoreError
from recorder.ids import Entropy
from recorder.ledger import checkpoint
from recorder.lifecycle import retention
from recorder.lifecycle.changing import Changes
from recorder.lifecycle.complete import complete_from
from recorder.lifecycle.rewrapping import CLAIM
from recorder.seal import document, signing
from recorder.seal.amendment import SYSTEM
from recorder.seal.canonical import Fields
from recorder.seal.files import read_document
from recorder.seal.keys import (
    WrappedKey,
    next_tenant_key_path,
    part,
    recording_of_path,
    tenant_key_path,
)
from recorder.seal.revocation import Revoked
from recorder.store.base import NotFound, Store, Unreachable

TYPE: Final = "accord-leaving-receipt"
VERSION: Final = 1
MAX_BYTES: Final = 1024 * 1024
RECEIPTS: Final = "leaving/"
"""Where receipts lie in the bucket."""

REASON: Final = "Its customer has left; it was handed what could be handed over."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Means:
    """``destroying`` destroys, ``signing`` signs the log; ``backups_end_after`` is how long a copy of
    catalogue and bucket is kept.  ``seconds``: how long it may take at a time."""

    destroying: retention.Means
    signing: checkpoint.Means
    backups_end_after: timedelta
    seconds: float = 45.0
    elapsed: Callable[[], float] = field(default=time.monotonic)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A verified receipt."""

    tenant: str
    at: datetime
    body: dict[str, Any]
    key: str
    """The id of the key that signed it."""


def place_of(tenant: str) -> str:
    """Where a customer's receipt lies in the bucket."""
    return f"{RECEIPTS}{part(tenant)}/receipt.json"


def held(tenant: str) -> tuple[amending.HoldRow, ...]:
    """Holds that are to be decided before anything is destroyed."""
    return amending.holds(tenant)


def check_ready(row: LeavingRow, *, without_handing_over: bool = False) -> None:
    """Raises :class:`CatalogueError`: ``leaving.holds_unconfirmed``, ``leaving.held`` (it names them),
    ``leaving.not_handed_over``."""
    if holds_unconfirmed() is not None:
        raise CatalogueError(
            "leaving.holds_unconfirmed",
            "after a restore or rebuild the holds are not confirmed: nothing is destroyed",
            "look at them, then `accord rebuild --confirm-holds`",
        )
    if holds := held(row.tenant):
        named = ", ".join(f"{each.recording} (hold {each.number}: {each.reason})" for each in holds[:20])
        more = f" and {len(holds) - 20} more" if len(holds) > 20 else ""
        raise CatalogueError(
            "leaving.held",
            f"{len(holds)} recordings are held, each is to be decided first: {named}{more}",
            "`accord hold lift`, once whoever it was held for has what they need of it",
        )
    if row.handed_at is None and not without_handing_over:
        raise CatalogueError(
            "leaving.not_handed_over",
            "nothing was handed over to this customer",
            "`accord tenant leave hand-over`; --without-hand-over where they want none of it",
        )


def erase_due(means: Means, now: datetime) -> int:
    """Destroy, for a while, what is left of customers who left; how many receipts were written.  What stands
    in the way of one is logged as an error and holds up no other.  Raises :class:`Unreachable`."""
    until, written = means.elapsed() + means.seconds, 0
    for row in leaving.to_erase():
        try:
            check_ready(row, without_handing_over=True)
            if _destroy(row, means, now, until):
                written += _finish(row, means, now)
        except Unreachable:
            raise
        except (CatalogueError, KeepingError, SealError, StoreError) as error:
            log.error(
                "leaving.waits",
                tenant=row.tenant,
                error_id=error.error_id,
                error=error.message,
                hint=error.hint,
            )
    return written


def _destroy(row: LeavingRow, means: Means, now: datetime, until: float) -> bool:
    """Destroy recordings; true once none is left."""
    given = means.destroying
    changes = Changes(
        given.store, given.root, given.signer, lambda: now, given.entropy, given.boundary, given.revoked
    )
    owner = given.entropy(8).hex()
    for each in _recordings(row.tenant):
        if means.elapsed() >= until:
            break
        try:
            changes.leave(row.tenant, each.id, SYSTEM, reason=REASON)
        except AccessError:
            pass  # its tombstone stands: what is left is the row
        except (KeepingError, SealError) as error:
            log.error(
                "leaving.not_destroyed", recording=each.id, error_id=error.error_id, error=error.message
            )
            continue
        retention.destroy_one(each, given, owner, now)
    left = leaving.remaining(row.tenant)
    log.info("leaving.erasing", tenant=row.tenant, left=left)
    return left == 0


def _recordings(tenant: str) -> Iterator[RecordingRow]:
    after = ""
    while page := leaving.recordings_of(tenant, after):
        yield from page
        after = page[-1].id


def _finish(row: LeavingRow, means: Means, now: datetime) -> bool:
    given, tenant = means.destroying, row.tenant
    given.boundary("recordings gone")
    calls = leaving.forget_calls(tenant, now=now, entropy=given.entropy)
    given.boundary("calls forgotten")
    people = leaving.forget_people(tenant, now=now, entropy=given.entropy)
    leaving.forget_requests(tenant)
    given.boundary("people forgotten")
    keys = destroy_keys(tenant, given.erasing or given.store, now, given.entropy, given.boundary)
    content = _there(tenant, given.store)
    if content is None:
        checkpoint.sign(tenant, means.signing, now)
        given.boundary("signed")
        checkpoint.publish(tenant, means.signing, now)
        given.boundary("published")
        content = document.write(_body(row, means, calls, people, keys, now), given.signer)
        read(content, given.root)
        _put(given.store, place_of(tenant), content)
    given.boundary("receipt put")
    said = read(content, given.root)
    sha256 = hashlib.sha256(content).hexdigest()
    done = leaving.left(tenant, content.decode(), sha256, said.at, now=now, entropy=given.entropy)
    given.boundary("left")
    log.info("leaving.left", tenant=tenant, receipt_sha256=sha256)
    return done


def destroy_keys(
    tenant: str,
    store: Store,
    now: datetime,
    entropy: Entropy,
    boundary: Callable[[str], None] = lambda _boundary: None,
) -> tuple[str, ...]:
    """Destroy every key that a customer has had, in catalogue and bucket; their ids, ever.  The catalogue's
    goes first, with the leaf that names all of them: whoever comes to it again knows which there were, and
    nobody puts one into the bucket any more.  Can be repeated.

    Raises :class:`SealError` (``keys.busy`` while keys are being changed), :class:`StoreError`."""
    owner = f"leaving-{entropy(8).hex()}"
    if not claims.take(CLAIM, owner, now):
        raise SealError("keys.busy", "keys are being changed just now", "it is tried again")
    try:
        places = _own_keys(tenant, store)
        found = [read_document(store, place, WrappedKey.MAX_BYTES) for place in places]
        if (text := customers.tenant_wrapped_key(tenant)) is not None:
            found.append(text.encode())
        ids = [key_id for each in found if (key_id := _key_id(each)) is not None]
        destroyed = leaving.forget_key(tenant, ids, now=now, entropy=entropy)
        boundary("customer's key forgotten")
        # By name, too: a listing shows no object whose newest version is a mark of its deletion.
        for place in dict.fromkeys([*places, tenant_key_path(tenant), next_tenant_key_path(tenant)]):
            store.delete(place)
        boundary("customer's keys deleted")
    finally:
        claims.give_back(CLAIM, owner)
    if left := _own_keys(tenant, store):
        raise StoreError("store.not_deleted", f"{left[0]} is there", "is something putting it back?")
    return destroyed


def _own_keys(tenant: str, store: Store) -> list[str]:
    """Where a customer's keys lie; those of recordings go with these."""
    return [key for key in store.list(f"keys/{part(tenant)}/") if recording_of_path(key) is None]


def _key_id(content: bytes) -> str | None:
    """The id of a wrapped key; ``None`` for what is none."""
    try:
        return WrappedKey.from_bytes(content).key_id
    except SealError:
        return None


def _body(
    row: LeavingRow, means: Means, calls: int, people: int, keys: tuple[str, ...], now: datetime
) -> dict[str, Any]:
    head = checkpoint.newest(row.tenant)
    assert head is not None
    handed = handing.counts(row.tenant)
    kept = means.backups_end_after
    return {
        "type": TYPE,
        "version": VERSION,
        "tenant": row.tenant,
        "announced_at": to_iso(row.announced_at),
        "handed_over": None
        if row.handed_at is None
        else {
            "at": to_iso(row.handed_at),
            "bytes": row.length,
            "recordings": handed.get("", 0),
            "left_out": sum(many for why, many in handed.items() if why),
        },
        "erasing_since": to_iso(row.erasing_since or now),
        "erased_at": to_iso(now),
        "destroyed": dict(sorted(leaving.destroyed(row.tenant).items())),
        "gone": ["recordings' keys", "recordings' objects, every version", "calls that were not recorded",
                 "names and log-ins", "who asked for their recordings", "the customer's keys"],
        "calls_forgotten": calls,
        "people_forgotten": people,
        "remains": ["manifests and amendments without keys, with the reasons in them",
                    "the log's leaves, with the addresses that got checkpoints by mail", "announcements"],
        "log": {"size": head.size, "root": head.root, "checkpoint": head.number},
        "keys": {"destroyed": list(keys), "copies_end": to_iso(complete_from(now, kept))},
        "backups_kept_days": kept.days,
        "complete_from": to_iso(complete_from(now, kept)),
        "software": f"accord {__version__}",
    }  # fmt: skip


def read(content: bytes, root: Ed25519PublicKey) -> Receipt:
    """A receipt, verified from the root's public key alone.  Raises :class:`SealError`."""
    body, key = document.read(content, "receipt", root, signing.RECEIPT, "erased_at", MAX_BYTES)
    fields = Fields(body, "receipt.body")
    fields.const("type", TYPE)
    fields.const("version", VERSION)
    return Receipt(fields.text("tenant"), fields.time("erased_at"), dict(body), key)


def bring_back(
    store: Store,
    root: Ed25519PublicKey,
    now: datetime,
    entropy: Entropy,
    revoked: Revoked,
    *,
    believe_dates: bool = False,
) -> int:
    """Let the catalogue know again which customers have left, by the receipts in the bucket: after a restore
    or rebuild nothing of theirs begins again.  How many it did not know.  A receipt by a key that is
    ``revoked`` is named and not followed, for that ends a customer's lines and log-ins; with
    ``believe_dates`` one that is dated before is.  Raises :class:`SealError` for one that cannot be
    believed, :class:`StoreError`."""
    known = 0
    for key in list(store.list(RECEIPTS)):
        content = read_document(store, key, MAX_BYTES)
        said = read(content, root)
        if key != place_of(said.tenant):
            raise SealError("seal.manifest_foreign", f"{key} is the receipt of customer {said.tenant}")
        since = revoked.get(said.key)
        if since is not None and not (believe_dates and said.at < since):
            log.error(
                "leaving.receipt_not_followed",
                tenant=said.tenant,
                at=to_iso(said.at),
                revoked_since=to_iso(since),
                hint="did they leave? Then look at the receipt, and `accord rebuild --believe-dates`",
            )
            continue
        try:
            sha256 = hashlib.sha256(content).hexdigest()
            known += leaving.left(said.tenant, content.decode(), sha256, said.at, now=now, entropy=entropy)
            leaving.forget_calls(said.tenant, now=now, entropy=entropy)
            leaving.forget_people(said.tenant, now=now, entropy=entropy)
            leaving.forget_requests(said.tenant)
            destroy_keys(said.tenant, store, now, entropy)
        except CatalogueError as error:
            if error.error_id != "tenant.unknown":
                raise
    return known


def _there(tenant: str, store: Store) -> bytes | None:
    try:
        return read_document(store, place_of(tenant), MAX_BYTES)
    except NotFound:
        return None


def _put(store: Store, key: str, content: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        store.put(key, Path(file.name), hashlib.sha256(content).hexdigest())
