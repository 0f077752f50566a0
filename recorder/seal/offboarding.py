"""The signed statements about a customer's offboarding, and the receipt at its end.

They lie in the bucket and alone decide what is destroyed, withheld and handed over; rows are an index to
them::

    leaving/<tenant>/statement-0001.json …
    leaving/<tenant>/receipt.json

Each statement says all that holds from then on, and names the SHA-256 of the one before it: the newest
decides. A statement by a key that was revoked decides nothing, whatever its date; the operator signs a new
one after it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import __version__
from recorder.clock import from_iso, to_iso
from recorder.errors import SealError
from recorder.seal import signed_document, signing
from recorder.seal.amendment_kinds import WHYS
from recorder.seal.canonical_json import Fields
from recorder.seal.document_source import DocumentSource, read_document
from recorder.seal.keyring import part
from recorder.seal.revocation import Revoked
from recorder.spool.atomic_files import in_memory

TYPE: Final = "accord-offboarding"
VERSION: Final = 1
MAX_BYTES: Final = 64 * 1024

FOLDER: Final = "leaving/"
"""Where statements and receipts lie in the bucket."""

RECEIPT: Final = "receipt.json"
RECEIPT_TYPE: Final = "accord-leaving-receipt"
RECEIPT_MAX_BYTES: Final = 1024 * 1024

ANNOUNCED: Final = "announced"
HANDED_OVER: Final = "handed_over"
ERASURE: Final = "erasure"
CANCELLED: Final = "cancelled"
KINDS: Final = (ANNOUNCED, HANDED_OVER, ERASURE, CANCELLED)

_NAME = re.compile(r"statement-([0-9]{4})\.json")


class Sink(DocumentSource, Protocol):
    """Where a statement is put: a store."""

    def put(self, key: str, path: Path, sha256: str) -> None: ...


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The archive that a customer was handed: its id, when it was whole, its length in bytes, how many
    recordings are in it and how many were left out, and hashes of its layout and of its rows
    (``features/offboarding/handover.py``)."""

    handover: str
    at: datetime
    length: int
    recordings: int
    left_out: int
    layout_sha256: str
    rows_sha256: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.  ``until`` is up to when the customer can fetch what it is handed; ``early`` says how it
    agreed that all is erased before that (``None`` but in an erasure, '' where it was not before)."""

    tenant: str
    number: int
    before: str | None
    kind: str
    at: datetime
    announced_at: datetime
    until: datetime
    handed_over: HandedOver | None = None
    early: str | None = None
    sha256: str = ""
    key_id: str = ""

    def following(self, kind: str, at: datetime, **changes: Any) -> Statement:
        """The next statement, not yet signed."""
        more = {"number": self.number + 1, "before": self.sha256, "kind": kind, "at": at, "early": None}
        return replace(self, **{**more, "sha256": "", "key_id": "", **changes})


@dataclass(frozen=True, slots=True)
class OffboardingReceipt:
    """A verified receipt; ``body`` is all of it, ``key`` the id of the key that signed it."""

    tenant: str
    announced_at: datetime
    at: datetime
    body: dict[str, Any]
    key: str
    sha256: str


def folder_of(tenant: str) -> str:
    """Where a customer's statements lie.  Raises :class:`SealError` for what is no tenant's id."""
    return f"{FOLDER}{part(tenant)}/"


def place_of(tenant: str) -> str:
    """Where a customer's receipt lies."""
    return folder_of(tenant) + RECEIPT


def is_known(key: str) -> bool:
    """Whether an object below :data:`FOLDER` is called as a statement or receipt is."""
    tenant, _, name = key.removeprefix(FOLDER).partition("/")
    return bool(tenant) and (name == RECEIPT or bool(_NAME.fullmatch(name)))


def statements(source: DocumentSource, tenant: str, root: Ed25519PublicKey) -> tuple[Statement, ...]:
    """A customer's statements in order, each verified from the root's public key alone.

    Raises :class:`SealError` where one cannot be read, is another customer's, or does not follow the one
    before it (``offboarding.missing``, ``offboarding.foreign``, ``offboarding.predecessor``): nothing
    follows from any of them then.  Raises :class:`recorder.errors.StoreError`."""
    folder = folder_of(tenant)
    keys = [key for key in source.list(folder) if _NAME.fullmatch(key.removeprefix(folder))]
    return tuple(_in_order(source, tenant, folder, sorted(keys), root))


def _in_order(
    source: DocumentSource, tenant: str, folder: str, keys: list[str], root: Ed25519PublicKey
) -> Iterator[Statement]:
    before = None
    for number, key in enumerate(keys, 1):
        if key != f"{folder}statement-{number:04}.json":
            raise SealError("offboarding.missing", f"{folder}statement-{number:04}.json is not there")
        try:
            found = read(read_document(source, key, MAX_BYTES), root)
        except SealError as error:
            raise SealError(error.error_id, f"{key}: {error.message}", error.hint) from None
        if found.tenant != tenant:
            raise SealError("offboarding.foreign", f"{key} is a statement about customer {found.tenant}")
        if (found.number, found.before) != (number, before):
            raise SealError("offboarding.predecessor", f"{key} does not follow the statement before it")
        before = found.sha256
        yield found


def standing(
    source: DocumentSource, tenant: str, root: Ed25519PublicKey, revoked: Revoked
) -> Statement | None:
    """The statement that holds now: the newest, where it is no cancellation and its key was not revoked.
    Raises as :func:`statements`."""
    found = statements(source, tenant, root)
    if not found or found[-1].kind == CANCELLED or found[-1].key_id in revoked:
        return None
    return found[-1]


def erasure(
    source: DocumentSource, tenant: str, root: Ed25519PublicKey, revoked: Revoked, now: datetime
) -> Statement:
    """The signed decision that everything of a customer is erased.  Raises :class:`SealError`
    (``offboarding.not_signed``, ``seal.key_revoked``, ``seal.from_the_future``), or as :func:`statements`."""
    hint = "if they do leave, `accord tenant leave erase` signs it; otherwise `accord tenant leave stop`"
    found = statements(source, tenant, root)
    if not found or found[-1].kind != ERASURE:
        raise SealError(
            "offboarding.not_signed", f"no signed statement says that customer {tenant} is to be erased", hint
        )
    last = found[-1]
    if last.key_id in revoked:
        what = f"key {last.key_id}, which signed that customer {tenant} is to be erased, was revoked"
        raise SealError("seal.key_revoked", what, hint)
    signed_document.check_not_future("statement", last.at, now)
    return last


def put(store: Sink, statement: Statement, signer: signing.Signer, root: Ed25519PublicKey) -> Statement:
    """Sign a statement and put it beside the others.  Raises :class:`SealError` (a key that is not endorsed
    for it), ``Conflict`` where somebody else was faster, :class:`recorder.errors.StoreError`."""
    signer.check(signing.OFFBOARDING, statement.at)
    content = signed_document.write(_to_body(statement), signer)
    made = read(content, root)
    with in_memory(content) as path:
        store.put(f"{folder_of(made.tenant)}statement-{made.number:04}.json", path, made.sha256)
    return made


def _to_body(said: Statement) -> dict[str, Any]:
    handed = said.handed_over
    return {
        "type": TYPE,
        "version": VERSION,
        "tenant": said.tenant,
        "number": said.number,
        "before": said.before,
        "kind": said.kind,
        "at": to_iso(said.at),
        "announced_at": to_iso(said.announced_at),
        "until": to_iso(said.until),
        "handed_over": None
        if handed is None
        else {
            "handover": handed.handover,
            "at": to_iso(handed.at),
            "bytes": handed.length,
            "recordings": handed.recordings,
            "left_out": handed.left_out,
            "layout_sha256": handed.layout_sha256,
            "rows_sha256": handed.rows_sha256,
        },
        "early": said.early,
        "software": f"accord {__version__}",
    }


def read(content: bytes, root: Ed25519PublicKey) -> Statement:
    """A statement, verified from the root's public key alone.  Raises :class:`SealError`."""
    body, key = signed_document.read(content, "statement", root, signing.OFFBOARDING, "at", MAX_BYTES)
    fields = Fields(body, "statement.body")
    fields.const("type", TYPE)
    fields.const("version", VERSION)
    found = Statement(
        tenant=fields.text("tenant"),
        number=fields.whole("number", 1),
        before=_optional_sha256(fields, "before"),
        kind=fields.one_of("kind", KINDS),
        at=fields.time("at"),
        announced_at=fields.time("announced_at"),
        until=fields.time("until"),
        handed_over=_handed_over(fields),
        early=fields.optional_text("early"),
        sha256=hashlib.sha256(content).hexdigest(),
        key_id=key,
    )
    fields.text("software")
    fields.end()
    _check(found)
    return found


def _check(found: Statement) -> None:
    """Refuse a statement that contradicts itself.  Raises :class:`SealError`."""
    is_erasure, handed = found.kind == ERASURE, found.handed_over
    too_early = is_erasure and found.at < found.until and not found.early
    late = handed is not None and not found.announced_at <= handed.at <= found.at
    lacks = found.kind == HANDED_OVER and handed is None
    if found.at < found.announced_at or too_early or late or lacks or is_erasure == (found.early is None):
        raise SealError("seal.contradiction", "the statement contradicts itself")


def _optional_sha256(fields: Fields, name: str) -> str | None:
    value = fields.optional_text(name)
    if value is not None and not re.fullmatch(r"[0-9a-f]{64}", value):
        fields.bad(name, "null or a SHA-256 in hex")
    return value


def _handed_over(fields: Fields) -> HandedOver | None:
    if (given := fields.take("handed_over")) is None:
        return None
    inner = Fields(given, "statement.body.handed_over")
    found = HandedOver(
        handover=inner.text("handover"),
        at=inner.time("at"),
        length=inner.whole("bytes"),
        recordings=inner.whole("recordings"),
        left_out=inner.whole("left_out"),
        layout_sha256=inner.sha256("layout_sha256"),
        rows_sha256=inner.sha256("rows_sha256"),
    )
    inner.end()
    return found


def read_receipt(content: bytes, root: Ed25519PublicKey) -> OffboardingReceipt:
    """A receipt, verified from the root's public key alone: every field is read, and an unknown one is
    refused. Raises :class:`SealError`."""
    body, key = signed_document.read(
        content, "receipt", root, signing.OFFBOARDING, "erased_at", RECEIPT_MAX_BYTES
    )
    fields = Fields(body, "receipt.body")
    fields.const("type", RECEIPT_TYPE)
    fields.const("version", VERSION)
    tenant, statement = fields.text("tenant"), fields.sha256("statement")
    times = [fields.time(name) for name in ("announced_at", "erasing_since", "erased_at", "complete_from")]
    _read_handed(fields)
    destroyed = fields.take("destroyed")
    if not isinstance(destroyed, dict) or not all(
        why in WHYS and type(many) is int and many > 0 for why, many in destroyed.items()
    ):
        fields.bad("destroyed", "numbers of recordings by why they were erased")
    for name in ("gone", "remains"):
        fields.texts(name)
    for name in ("calls_forgotten", "people_forgotten", "backups_kept_days"):
        fields.whole(name)
    head = fields.fields("log")
    head.whole("size"), head.sha256("root"), head.whole("checkpoint", 1)
    head.end()
    keys = fields.fields("keys")
    keys.texts("destroyed"), keys.time("copies_end")
    keys.end()
    fields.text("software")
    fields.end()
    if times != sorted(times) or not statement:
        raise SealError("seal.contradiction", "the receipt contradicts itself")
    return OffboardingReceipt(
        tenant, times[0], times[2], dict(body), key, hashlib.sha256(content).hexdigest()
    )


def _read_handed(fields: Fields) -> None:
    if (given := fields.take("handed_over")) is None:
        return
    inner = Fields(given, "receipt.body.handed_over")
    inner.time("at")
    for name in ("bytes", "recordings", "left_out"):
        inner.whole(name)
    inner.end()


def receipt_of(source: DocumentSource, tenant: str, root: Ed25519PublicKey) -> OffboardingReceipt:
    """The receipt in a customer's folder.  Raises :class:`SealError` (``offboarding.foreign`` for another
    customer's), ``NotFound``, :class:`recorder.errors.StoreError`."""
    place = place_of(tenant)
    found = read_receipt(read_document(source, place, RECEIPT_MAX_BYTES), root)
    if found.tenant != tenant:
        raise SealError("offboarding.foreign", f"{place} is the receipt of customer {found.tenant}")
    return found


def truncate(at: datetime) -> datetime:
    """A time as a statement can say it."""
    return from_iso(to_iso(at))
