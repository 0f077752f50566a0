"""The signed statements about a customer's offboarding, and the receipt at its end.

They lie in the bucket and alone decide what is destroyed, withheld and handed over; rows are an index to
them::

    offboarding/<tenant>/statement-0001.json …
    offboarding/<tenant>/receipt.json

Each statement says all that holds from then on, and names the SHA-256 of the one before it: the newest
decides. A statement by a key that was revoked decides nothing, whatever its date; the operator signs a new
one after it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field

from recorder.errors import SealError
from recorder.seal import signed_document, signing
from recorder.seal.amendment_kinds import ERASURE_REASONS
from recorder.seal.document_source import DocumentSink, DocumentSource, read_document
from recorder.seal.keyring import part
from recorder.seal.revocation import Revoked
from recorder.spool.atomic_files import in_memory
from recorder.strict_json import STRICT, Form, Natural, Positive, Sha256, Time, one_of

MAX_BYTES: Final = 64 * 1024

FOLDER: Final = "offboarding/"
"""Where statements and receipts lie in the bucket."""

RECEIPT: Final = "receipt.json"
RECEIPT_MAX_BYTES: Final = 1024 * 1024

ANNOUNCED: Final = "announced"
HANDED_OVER: Final = "handed_over"
ERASURE: Final = "erasure"
CANCELLED: Final = "cancelled"
KINDS: Final = (ANNOUNCED, HANDED_OVER, ERASURE, CANCELLED)

_NAME = re.compile(r"statement-([0-9]{4})\.json")


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The archive that a customer was handed: its id, when it was whole, its length in bytes, how many
    recordings are in it and how many were left out, and hashes of its layout and of its rows
    (``features/offboarding/handover.py``)."""

    __pydantic_config__ = STRICT

    handover: str
    at: Time
    length: Annotated[Natural, Field(alias="bytes")]
    recordings: Natural
    omitted: Natural
    layout_sha256: Sha256
    rows_sha256: Sha256


@dataclass(frozen=True, slots=True)
class StatementBody:
    """What one statement says.  ``until`` is up to when the customer can fetch its archive.  ``early`` is how
    it agreed to an erasure before that: ``None`` in other statements, '' in an erasure that is not early."""

    __pydantic_config__ = STRICT

    tenant: str
    number: Positive
    predecessor: Sha256 | None
    kind: Annotated[str, one_of(KINDS)]
    at: Time
    announced_at: Time
    until: Time
    handed_over: HandedOver | None
    early: str | None


@dataclass(frozen=True, slots=True)
class Statement(StatementBody):
    """A statement; ``sha256`` and ``key_id`` (of the key that signed it) are empty before it is signed."""

    handed_over: HandedOver | None = None
    early: str | None = None
    sha256: str = ""
    key_id: str = ""

    def following(self, kind: str, at: datetime, **changes: Any) -> Statement:
        """The next statement, not yet signed."""
        more = {"number": self.number + 1, "predecessor": self.sha256, "kind": kind, "at": at, "early": None}
        return replace(self, **{**more, "sha256": "", "key_id": "", **changes})


def _check(found: StatementBody) -> None:
    """Refuse a statement that contradicts itself.  Raises :class:`SealError`."""
    is_erasure, handed = found.kind == ERASURE, found.handed_over
    too_early = is_erasure and found.at < found.until and not found.early
    late = handed is not None and not found.announced_at <= handed.at <= found.at
    lacks = found.kind == HANDED_OVER and handed is None
    if found.at < found.announced_at or too_early or late or lacks or is_erasure == (found.early is None):
        raise SealError("seal.contradiction", "the statement contradicts itself")


STATEMENT: Final = signed_document.Kind(
    "accord-offboarding", "statement", signing.OFFBOARDING, Form[StatementBody](StatementBody),
    largest=MAX_BYTES, check=_check,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReceiptArchive:
    """The archive that the customer was handed, in the receipt."""

    __pydantic_config__ = STRICT

    at: Time
    length: Annotated[Natural, Field(alias="bytes")]
    recordings: Natural
    omitted: Natural


@dataclass(frozen=True, slots=True)
class ReceiptLog:
    """The last checkpoint of the customer's log, in the receipt."""

    __pydantic_config__ = STRICT

    size: Natural
    root: Sha256
    checkpoint: Positive


@dataclass(frozen=True, slots=True)
class ReceiptKeys:
    """Ids of the customer's keys, and when the last copy of them ends."""

    __pydantic_config__ = STRICT

    destroyed: tuple[str, ...]
    copies_end: Time


@dataclass(frozen=True, slots=True)
class OffboardingReceiptBody:
    """What the receipt says: ``statement`` is the SHA-256 of the statement that decided it, ``recordings_erased``
    the numbers of recordings by reason, ``erased`` and ``remains`` name kinds of data in words."""

    __pydantic_config__ = STRICT

    tenant: str
    statement: Sha256
    announced_at: Time
    handed_over: ReceiptArchive | None
    erasing_since: Time
    erased_at: Time
    recordings_erased: dict[Annotated[str, one_of(ERASURE_REASONS)], Positive]
    erased: tuple[str, ...]
    calls_erased: Natural
    people_erased: Natural
    remains: tuple[str, ...]
    log: ReceiptLog
    keys: ReceiptKeys
    backups_kept_days: Natural
    complete_from: Time


@dataclass(frozen=True, slots=True)
class OffboardingReceipt:
    """A verified receipt; ``key`` is the id of the key that signed it."""

    body: OffboardingReceiptBody
    key: str
    sha256: str

    @property
    def tenant(self) -> str:
        return self.body.tenant

    @property
    def announced_at(self) -> datetime:
        return self.body.announced_at

    @property
    def at(self) -> datetime:
        return self.body.erased_at


def _check_receipt(found: OffboardingReceiptBody) -> None:
    times = [found.announced_at, found.erasing_since, found.erased_at, found.complete_from]
    if times != sorted(times):
        raise SealError("seal.contradiction", "the receipt contradicts itself")


RECEIPT_KIND: Final = signed_document.Kind(
    "accord-offboarding-receipt", "receipt", signing.OFFBOARDING,
    Form[OffboardingReceiptBody](OffboardingReceiptBody),
    signed_at="erased_at", largest=RECEIPT_MAX_BYTES, check=_check_receipt,
)  # fmt: skip


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
        if (found.number, found.predecessor) != (number, before):
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
    (``offboarding.unsigned``, ``seal.key_revoked``, ``seal.from_the_future``), or as :func:`statements`."""
    hint = "if they do leave, `accord tenant leave erase` signs it; otherwise `accord tenant leave stop`"
    found = statements(source, tenant, root)
    if not found or found[-1].kind != ERASURE:
        raise SealError(
            "offboarding.unsigned", f"no signed statement says that customer {tenant} is to be erased", hint
        )
    last = found[-1]
    if last.key_id in revoked:
        what = f"key {last.key_id}, which signed that customer {tenant} is to be erased, was revoked"
        raise SealError("seal.key_revoked", what, hint)
    signed_document.check_not_future("statement", last.at, now)
    return last


def put(
    store: DocumentSink, statement: Statement, signer: signing.Signer, root: Ed25519PublicKey
) -> Statement:
    """Sign a statement and put it beside the others.  Raises :class:`SealError` (a key that is not endorsed
    for it), ``Conflict`` where somebody else was faster, :class:`recorder.errors.StoreError`."""
    content = STATEMENT.write(statement, signer)
    made = read(content, root)
    with in_memory(content) as path:
        store.put(f"{folder_of(made.tenant)}statement-{made.number:04}.json", path, made.sha256)
    return made


def read(content: bytes, root: Ed25519PublicKey) -> Statement:
    """A statement, verified from the root's public key alone.  Raises :class:`SealError`."""
    signed = STATEMENT.read(content, root)
    said = {name: getattr(signed.value, name) for name in STATEMENT.form.names}
    return Statement(**said, sha256=hashlib.sha256(content).hexdigest(), key_id=signed.key_id)


def read_receipt(content: bytes, root: Ed25519PublicKey) -> OffboardingReceipt:
    """A receipt, verified from the root's public key alone.  Raises :class:`SealError`."""
    signed = RECEIPT_KIND.read(content, root)
    return OffboardingReceipt(signed.value, signed.key_id, hashlib.sha256(content).hexdigest())


def receipt_of(source: DocumentSource, tenant: str, root: Ed25519PublicKey) -> OffboardingReceipt:
    """The receipt in a customer's folder.  Raises :class:`SealError` (``offboarding.foreign`` for another
    customer's), ``NotFound``, :class:`recorder.errors.StoreError`."""
    place = place_of(tenant)
    found = read_receipt(read_document(source, place, RECEIPT_MAX_BYTES), root)
    if found.tenant != tenant:
        raise SealError("offboarding.foreign", f"{place} is the receipt of customer {found.tenant}")
    return found
