"""The receipt of an erasure: what was destroyed of a recording, when and on which ground, that it is gone,
and from when that is complete.  Signed, without anybody's number or name.

::

    {"body": {"type": "accord-receipt", "version": 1, "recording": ..., "tenant": ..., "at": ...,
              "erased_at": ..., "why": ..., "asked": [{"kind": ..., "at": ..., "amendment": 1}],
              "key": ..., "objects": [{"name": ..., "stored_sha256": ..., "stored_length": ...}],
              "gone": true, "remains": [...], "backups_kept_days": 30, "complete_from": ...,
              "tombstone": <SHA-256 of the amendment that says so>, "software": ...},
     "endorsement": ..., "signatures": [...]}

The form is that of an amendment, by a key that is endorsed for receipts.  It is made when it is asked for,
and only after looking: where something of the recording is there again, there is no receipt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import __version__
from recorder.catalogue import queries
from recorder.clock import from_iso, to_iso
from recorder.errors import AccessError, KeepingError, SealError
from recorder.lifecycle.erasure_deadline import complete_from
from recorder.seal import amendment as kinds
from recorder.seal import amendment_kinds, signed_document
from recorder.seal.amendment_kinds import Erased
from recorder.seal.canonical_json import Fields
from recorder.seal.signing import RECEIPT, Signer
from recorder.seal.verification import verify
from recorder.store.contract import Store

TYPE = "accord-receipt"
MAX_BYTES = 1024 * 1024

_GROUNDS = (
    amendment_kinds.CONSENT_WITHDRAWN,
    amendment_kinds.PURPOSES_NARROWED,
    amendment_kinds.DELETION_ASKED,
)


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """What a receipt says; ``body`` is all of it, ``content`` the signed document."""

    recording: str
    tenant: str
    erased_at: datetime
    why: str
    objects: tuple[str, ...]
    remains: tuple[str, ...]
    backups_kept_days: int
    complete_from: datetime
    body: dict[str, Any]
    content: bytes


def receipt(
    tenant: str,
    recording: str,
    store: Store,
    root: Ed25519PublicKey,
    signer: Signer,
    backups_end_after: timedelta,
    now: datetime,
) -> ErasureReceipt:
    """The receipt of a customer's recording that was erased, after looking that it is gone.

    Raises :class:`AccessError` (``access.not_found``), :class:`KeepingError` (``keeping.not_erased``: it is
    not, or its tombstone does not stand yet; ``keeping.not_gone``: something of it is there),
    :class:`SealError`, :class:`recorder.errors.StoreError`."""
    row = queries.recording(tenant, recording)
    if row is None:
        raise AccessError("access.not_found", "there is no such recording")
    if row.destroyed_at is None:
        raise KeepingError("keeping.not_erased", f"recording {recording} was not destroyed")
    report = verify(store, row.prefix, root, None, now)
    chain = report.chain
    if chain is None or chain.erased is None or not isinstance(chain.erased.data, Erased):
        raise KeepingError(
            "keeping.not_erased", f"recording {recording} has no tombstone in the bucket", "`accord audit`"
        )
    if (chain.manifest.tenant, chain.manifest.recording) != (tenant, recording):
        raise SealError("seal.manifest_foreign", f"the manifest at {row.prefix} is that of another recording")
    if report.findings:
        raise KeepingError(
            "keeping.not_gone",
            f"recording {recording} was erased, and is not gone: {report.findings[0].message}",
            "`accord audit` names all of it; the worker destroys it again where a row is due",
        )
    tombstone, said = chain.erased, chain.erased.data
    signed_at = from_iso(to_iso(now))
    body = {
        "type": TYPE,
        "version": 1,
        "recording": recording,
        "tenant": tenant,
        "at": to_iso(signed_at),
        "erased_at": to_iso(tombstone.at),
        "why": said.why,
        "asked": [
            {"kind": each.kind, "at": to_iso(each.at), "amendment": each.number}
            for each in chain.amendments
            if each.kind in _GROUNDS
        ],
        "key": said.key_id,
        "objects": [
            {"name": each.name, "stored_sha256": each.stored_sha256, "stored_length": each.stored_length}
            for each in said.objects
        ],
        "gone": True,
        "remains": sorted({*said.remains, kinds.name(tombstone.number)}),
        "backups_kept_days": backups_end_after.days,
        "complete_from": to_iso(complete_from(tombstone.at, backups_end_after)),
        "tombstone": tombstone.sha256,
        "software": f"accord {__version__}",
    }
    signer.check(RECEIPT, signed_at)
    return read(signed_document.write(body, signer), root)


def read(content: bytes, root: Ed25519PublicKey) -> ErasureReceipt:
    """A receipt, verified from the root's public key alone.  Raises :class:`SealError`."""
    body, _ = signed_document.read(content, "receipt", root, RECEIPT, "at", MAX_BYTES)
    fields = Fields(body, "receipt.body")
    fields.const("type", TYPE)
    fields.const("version", 1)
    for asked in fields.each("asked"):
        asked.one_of("kind", _GROUNDS)
        asked.time("at")
        asked.whole("amendment", 1)
        asked.end()
    objects = fields.each("objects")
    names = tuple(each.text("name") for each in objects)
    for each in objects:
        each.sha256("stored_sha256")
        each.whole("stored_length")
        each.end()
    fields.time("at")
    for name in ("key", "software"):
        fields.text(name)
    fields.sha256("tombstone")
    gone = fields.take("gone")
    found = ErasureReceipt(
        recording=fields.text("recording"),
        tenant=fields.text("tenant"),
        erased_at=fields.time("erased_at"),
        why=fields.one_of("why", amendment_kinds.WHYS),
        objects=names,
        remains=fields.texts("remains"),
        backups_kept_days=fields.whole("backups_kept_days", 0),
        complete_from=fields.time("complete_from"),
        body=body,
        content=content,
    )
    fields.end()
    if found.complete_from < found.erased_at or gone is not True:
        raise SealError("seal.contradiction", "the receipt contradicts itself")
    return found
