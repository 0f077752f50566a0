"""The signed statements about a customer's offboarding, and the receipt at its end.

They are in the bucket, and they alone decide what is erased, withheld and handed over; the rows are an index
to them::

    offboarding/<tenant>/statement-0001.json …
    offboarding/<tenant>/receipt.json

Each statement is complete and names the SHA-256 of its predecessor: the newest one decides.  A statement by
a revoked key decides nothing, whatever its date; the operator signs a new one after it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated, Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field

from recorder.errors import SealError
from recorder.seal import hints, signed_document, signing
from recorder.seal.amendment_kinds import ERASURE_REASONS
from recorder.seal.document_source import DocumentSink, DocumentSource, read_document
from recorder.seal.keyring import key_part
from recorder.seal.revocation import Revoked
from recorder.spool.atomic_files import memory_file
from recorder.strict_json import Form, Natural, Positive, Sha256, Strict, Time, one_of
from recorder.verified_state import VerifiedState

MAX_BYTES: Final = 64 * 1024

FOLDER: Final = "offboarding/"
"""Prefix of statements and receipts in the bucket."""

RECEIPT: Final = "receipt.json"
RECEIPT_MAX_BYTES: Final = 1024 * 1024

ANNOUNCED: Final = "announced"
HANDED_OVER: Final = "handed_over"
ERASURE: Final = "erasure"
CANCELLED: Final = "cancelled"
KINDS: Final = (ANNOUNCED, HANDED_OVER, ERASURE, CANCELLED)

_NAME = re.compile(r"statement-([0-9]{4})\.json")


@dataclass(frozen=True, slots=True)
class HandedOver(Strict):
    """The handover archive: its id, when it was complete, its length in bytes, the numbers of included and
    omitted recordings, and hashes of its layout and of its rows."""

    handover: str
    at: Time
    length: Annotated[Natural, Field(alias="bytes")]
    recordings: Natural
    omitted: Natural
    layout_sha256: Sha256
    rows_sha256: Sha256


@dataclass(frozen=True, slots=True)
class StatementBody(Strict):
    """The signed body.  ``until`` is the end of the time to download the archive.  ``early`` says how the
    customer consented to an erasure before that: ``None`` in other statements, '' in a later erasure."""

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
class Statement(StatementBody, VerifiedState):
    """A verified statement, wherever it is in its chain: by itself it decides nothing. ``key_id`` is the id
    of the signing key."""

    sha256: str
    key_id: str

    def next_statement(self, kind: str, at: datetime, **changes: Any) -> StatementBody:
        """Return the body of the next statement."""
        body = {name: getattr(self, name) for name in STATEMENT.form.names}
        more = {"number": self.number + 1, "predecessor": self.sha256, "kind": kind, "at": at, "early": None}
        return StatementBody(**{**body, **more, **changes})


@dataclass(frozen=True, slots=True)
class Departure(Statement):
    """The last statement of a customer's chain, by which the customer leaves."""


@dataclass(frozen=True, slots=True)
class ErasureStatement(Departure):
    """The last statement of a customer's chain, which orders the erasure of all of the customer's data."""


@dataclass(frozen=True, slots=True)
class Cancellation(Statement):
    """The last statement of a customer's chain, by which the customer stays."""


_LAST: Final[Mapping[str, type[Departure | Cancellation]]] = {
    ANNOUNCED: Departure,
    HANDED_OVER: Departure,
    ERASURE: ErasureStatement,
    CANCELLED: Cancellation,
}


def _check(found: StatementBody) -> None:
    """Refuse a contradictory statement.  Raises :class:`SealError`."""
    is_erasure, handed = found.kind == ERASURE, found.handed_over
    too_early = is_erasure and found.at < found.until and not found.early
    late = handed is not None and not found.announced_at <= handed.at <= found.at
    lacks = found.kind == HANDED_OVER and handed is None
    if found.at < found.announced_at or too_early or late or lacks or is_erasure == (found.early is None):
        raise SealError("seal.contradiction", "the statement contradicts itself", hints.DOCUMENT)


STATEMENT: Final = signed_document.Kind(
    "accord-offboarding", "statement", signing.OFFBOARDING, Form[StatementBody](StatementBody),
    largest=MAX_BYTES, check=_check,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReceiptArchive(Strict):
    """The handover archive, in the receipt."""

    at: Time
    length: Annotated[Natural, Field(alias="bytes")]
    recordings: Natural
    omitted: Natural


@dataclass(frozen=True, slots=True)
class ReceiptLog(Strict):
    """The last checkpoint of the customer's audit log, in the receipt."""

    size: Natural
    root: Sha256
    checkpoint: Positive


@dataclass(frozen=True, slots=True)
class ReceiptKeys(Strict):
    """The ids of the customer's destroyed keys, and the end of the last backup with a copy of them."""

    destroyed: tuple[str, ...]
    copies_end: Time


@dataclass(frozen=True, slots=True)
class OffboardingReceiptBody(Strict):
    """The signed body: ``statement`` is the SHA-256 of the deciding statement, ``recordings_erased`` counts
    recordings by reason, ``erased`` and ``remains`` name kinds of data in words."""

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
class OffboardingReceipt(VerifiedState):
    """A verified receipt; ``key`` is the id of the signing key."""

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
        raise SealError("seal.contradiction", "the receipt contradicts itself", hints.DOCUMENT)


RECEIPT_KIND: Final = signed_document.Kind(
    "accord-offboarding-receipt", "receipt", signing.OFFBOARDING,
    Form[OffboardingReceiptBody](OffboardingReceiptBody),
    signed_at="erased_at", largest=RECEIPT_MAX_BYTES, check=_check_receipt,
)  # fmt: skip


def folder_of(tenant: str) -> str:
    """Return the prefix of a customer's statements.  Raises :class:`SealError` for an invalid id."""
    return f"{FOLDER}{key_part(tenant)}/"


def place_of(tenant: str) -> str:
    """Return the bucket key of a customer's receipt."""
    return folder_of(tenant) + RECEIPT


def is_known(key: str) -> bool:
    """Whether an object below :data:`FOLDER` has the name of a statement or receipt."""
    tenant, _, name = key.removeprefix(FOLDER).partition("/")
    return bool(tenant) and (name == RECEIPT or bool(_NAME.fullmatch(name)))


def statements(source: DocumentSource, tenant: str, root: Ed25519PublicKey) -> tuple[Statement, ...]:
    """Read a customer's statements in order, each verified from the root's public key alone; the last one
    is a :class:`Departure`, an :class:`ErasureStatement` or a :class:`Cancellation`.

    Raises :class:`SealError` where one cannot be read, is another customer's, or does not link to its
    predecessor (``offboarding.missing``, ``offboarding.foreign``, ``offboarding.predecessor``): then none of
    them counts.  Raises :class:`recorder.errors.StoreError`."""
    folder = folder_of(tenant)
    keys = [key for key in source.list(folder) if _NAME.fullmatch(key.removeprefix(folder))]
    found = tuple(_in_order(source, tenant, folder, sorted(keys), root))
    return (*found[:-1], _last(found[-1])) if found else ()


def _last(statement: Statement) -> Departure | Cancellation:
    return _LAST[statement.kind](**{each.name: getattr(statement, each.name) for each in fields(statement)})


def _in_order(
    source: DocumentSource, tenant: str, folder: str, keys: list[str], root: Ed25519PublicKey
) -> Iterator[Statement]:
    before = None
    for number, key in enumerate(keys, 1):
        if key != f"{folder}statement-{number:04}.json":
            raise SealError(
                "offboarding.missing", f"{folder}statement-{number:04}.json is missing", hints.OBJECT
            )
        try:
            found = read(read_document(source, key, MAX_BYTES), root)
        except SealError as error:
            raise SealError(error.error_id, f"{key}: {error.message}", error.hint) from None
        if found.tenant != tenant:
            raise SealError(
                "offboarding.foreign", f"{key} is a statement about customer {found.tenant}", hints.OBJECT
            )
        if (found.number, found.predecessor) != (number, before):
            raise SealError(
                "offboarding.predecessor", f"{key} does not continue the statement before it", hints.OBJECT
            )
        before = found.sha256
        yield found


def current_statement(
    source: DocumentSource, tenant: str, root: Ed25519PublicKey, revoked: Revoked
) -> Departure | None:
    """Return the statement in force: the newest, unless it is a cancellation or its key was revoked. Raises
    as :func:`statements`."""
    last = next(reversed(statements(source, tenant, root)), None)
    return last if isinstance(last, Departure) and last.key_id not in revoked else None


def erasure_statement(
    source: DocumentSource, tenant: str, root: Ed25519PublicKey, revoked: Revoked, now: datetime
) -> ErasureStatement:
    """Return the signed decision to erase everything of a customer.  Raises :class:`SealError`
    (``offboarding.unsigned``, ``seal.key_revoked``, ``seal.from_the_future``), or as :func:`statements`."""
    hint = "if they do leave, `accord offboarding erase` signs it; otherwise `accord offboarding cancel`"
    last = next(reversed(statements(source, tenant, root)), None)
    if not isinstance(last, ErasureStatement):
        raise SealError(
            "offboarding.unsigned", f"no signed statement orders the erasure of customer {tenant}", hint
        )
    if last.key_id in revoked:
        what = f"key {last.key_id}, which signed the erasure of customer {tenant}, was revoked"
        raise SealError("seal.key_revoked", what, hint)
    signed_document.check_not_future("statement", last.at, now)
    return last


def put_statement(
    store: DocumentSink, statement: StatementBody, signer: signing.Signer, root: Ed25519PublicKey
) -> Departure | Cancellation:
    """Sign a statement and put it after the others; return it as read with them.  Raises :class:`SealError`
    (a key that is not endorsed for it; ``offboarding.predecessor`` if it is not the last one, or as
    :func:`statements`), ``Conflict`` where another process wrote the same number first,
    :class:`recorder.errors.StoreError`."""
    content = STATEMENT.write(statement, signer)
    statement_put = read(content, root)
    with memory_file(content) as path:
        store.put(
            f"{folder_of(statement_put.tenant)}statement-{statement_put.number:04}.json",
            path,
            statement_put.sha256,
        )
    last = statements(store, statement_put.tenant, root)[-1]
    if last.sha256 != statement_put.sha256:
        what = f"another statement about customer {statement_put.tenant} follows the one that was just put"
        raise SealError("offboarding.predecessor", what, "`accord offboarding show`")
    return _last(last)


def read(content: bytes, root: Ed25519PublicKey) -> Statement:
    """Read a statement and verify it from the root's public key alone.  Raises :class:`SealError`."""
    signed = STATEMENT.read(content, root)
    body = {name: getattr(signed.value, name) for name in STATEMENT.form.names}
    return Statement(**body, sha256=hashlib.sha256(content).hexdigest(), key_id=signed.key_id)


def read_receipt(content: bytes, root: Ed25519PublicKey) -> OffboardingReceipt:
    """Read a receipt and verify it from the root's public key alone.  Raises :class:`SealError`."""
    signed = RECEIPT_KIND.read(content, root)
    return OffboardingReceipt(signed.value, signed.key_id, hashlib.sha256(content).hexdigest())


def receipt_of(source: DocumentSource, tenant: str, root: Ed25519PublicKey) -> OffboardingReceipt:
    """Read the receipt in a customer's folder. Raises :class:`SealError` (``offboarding.foreign`` for another
    customer's), ``NotFound``, :class:`recorder.errors.StoreError`."""
    place = place_of(tenant)
    found = read_receipt(read_document(source, place, RECEIPT_MAX_BYTES), root)
    if found.tenant != tenant:
        raise SealError(
            "offboarding.foreign", f"{place} is the receipt of customer {found.tenant}", hints.OBJECT
        )
    return found
