"""The receipt of an erasure: what was erased of a recording, when and on which ground, that it is gone, and
when the erasure is complete. Signed, and without anybody's number or name.

::

    {"body": {"type": "accord-receipt", "version": 1, "recording": ..., "tenant": ..., "at": ...,
              "erased_at": ..., "reason": ..., "grounds": [{"kind": ..., "at": ..., "amendment": 1}],
              "key": ..., "objects": [{"name": ..., "stored_sha256": ..., "stored_length": ...}],
              "verified": true, "remains": [...], "backups_kept_days": 30, "complete_from": ...,
              "tombstone": <SHA-256 of the amendment that says so>, "software": ...},
     "endorsement": ..., "signatures": [...]}

The form is that of an amendment, by a key that is endorsed for receipts. A receipt is issued on request, and
only after a check: if anything of the recording exists, there is no receipt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.catalogue import queries
from recorder.errors import AccessError, RetentionError, SealError
from recorder.lifecycle.erasure_deadline import erasure_complete_at
from recorder.seal import amendment, amendment_kinds, hints, signed_document
from recorder.seal.amendment_kinds import Erased, ErasedObject
from recorder.seal.signing import RECEIPT, Signer
from recorder.seal.verification import verify
from recorder.store.contract import Store
from recorder.strict_json import Form, Natural, Positive, Sha256, Strict, Time, one_of

_GROUNDS = (
    amendment_kinds.CONSENT_WITHDRAWN,
    amendment_kinds.PURPOSES_NARROWED,
    amendment_kinds.DELETION_REQUESTED,
)


@dataclass(frozen=True, slots=True)
class Ground(Strict):
    """An amendment that led to the erasure."""

    kind: Annotated[str, one_of(_GROUNDS)]
    at: Time
    amendment: Positive


@dataclass(frozen=True, slots=True)
class ErasureReceiptBody(Strict):
    """A receipt's content: ``key`` is the id of the destroyed data key, ``tombstone`` the SHA-256 of the
    amendment that states the erasure."""

    recording: str
    tenant: str
    at: Time
    erased_at: Time
    reason: Annotated[str, one_of(amendment_kinds.ERASURE_REASONS)]
    grounds: tuple[Ground, ...]
    key: str
    objects: tuple[ErasedObject, ...]
    verified: bool
    remains: tuple[str, ...]
    backups_kept_days: Natural
    complete_from: Time
    tombstone: Sha256


@dataclass(frozen=True, slots=True)
class ErasureReceipt(ErasureReceiptBody):
    """A verified receipt; ``content`` is the signed document."""

    content: bytes


def _check(found: ErasureReceiptBody) -> None:
    if found.complete_from < found.erased_at or not found.verified:
        raise SealError("seal.contradiction", "the receipt contradicts itself", hints.DOCUMENT)


KIND: Final = signed_document.Kind(
    "accord-receipt",
    "receipt",
    RECEIPT,
    Form[ErasureReceiptBody](ErasureReceiptBody),
    largest=1024 * 1024,
    check=_check,
)


def receipt(
    tenant: str,
    recording: str,
    store: Store,
    root: Ed25519PublicKey,
    signer: Signer,
    backups_end_after: timedelta,
    now: datetime,
) -> ErasureReceipt:
    """The receipt of an erased recording, after a check that it is gone.

    Raises :class:`AccessError` (``access.not_found``), :class:`RetentionError` (``retention.not_erased``: not
    erased, or without a valid tombstone; ``retention.not_gone``: something of it exists), :class:`SealError`,
    :class:`recorder.errors.StoreError`."""
    row = queries.recording(tenant, recording)
    if row is None:
        raise AccessError(
            "access.not_found", "there is no such recording", "check the recording's id and the customer"
        )
    if row.erased_at is None:
        raise RetentionError(
            "retention.not_erased",
            f"recording {recording} has not been destroyed",
            "there is a receipt once it is erased: `accord recording show` shows when",
        )
    report = verify(store, row.prefix, root, None, now)
    chain = report.chain
    if chain is None or chain.erased is None or not isinstance(chain.erased.data, Erased):
        raise RetentionError(
            "retention.not_erased",
            f"recording {recording} has no tombstone in the bucket",
            "`accord audit run`",
        )
    if (chain.manifest.tenant, chain.manifest.recording) != (tenant, recording):
        raise SealError(
            "seal.manifest_foreign",
            f"the manifest at {row.prefix} belongs to another recording",
            hints.OBJECT,
        )
    if report.findings:
        raise RetentionError(
            "retention.not_gone",
            f"recording {recording} was erased but still exists: {report.findings[0].message}",
            "`accord audit run` lists everything; the worker erases it again if its row is due",
        )
    tombstone, erased = chain.erased, chain.erased.data
    body = ErasureReceiptBody(
        recording=recording,
        tenant=tenant,
        at=now,
        erased_at=tombstone.at,
        reason=erased.reason,
        grounds=tuple(
            Ground(each.kind, each.at, each.number) for each in chain.amendments if each.kind in _GROUNDS
        ),
        key=erased.key_id,
        objects=erased.objects,
        verified=True,
        remains=tuple(sorted({*erased.remains, amendment.name(tombstone.number)})),
        backups_kept_days=backups_end_after.days,
        complete_from=erasure_complete_at(tombstone.at, backups_end_after),
        tombstone=tombstone.sha256,
    )
    return read(KIND.write(body, signer), root)


def read(content: bytes, root: Ed25519PublicKey) -> ErasureReceipt:
    """A receipt, verified with the root's public key alone. Raises :class:`SealError`."""
    found = KIND.read(content, root).value
    return ErasureReceipt(**{name: getattr(found, name) for name in KIND.form.names}, content=content)
