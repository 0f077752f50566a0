"""What somebody else's clock says of a checkpoint: a timestamp by an authority (RFC 3161).

Whoever holds the signing key can date a checkpoint as they like; they cannot have it stamped yesterday.  The
token lies beside the checkpoint.  A log's newest checkpoint is stamped, and with it all before, which it
follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog
import urllib3
from cryptography.x509 import load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)
from urllib3.exceptions import HTTPError

from recorder.auditlog.checkpoint import newest, put, read_at
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.audit_log import CheckpointTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import SLACK, to_iso
from recorder.errors import LedgerError
from recorder.services import Services
from recorder.store.contract import NotFound

MAX_BYTES = 64 * 1024
_PATIENCE = 20.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Authority:
    """Who stamps: where, and the certificates (PEM) that its own certificate leads to."""

    url: str
    certificates: bytes

    def stamp(self, content: bytes) -> bytes:
        """A token for some bytes, checked.  Raises :class:`LedgerError`: ``stamp.unreachable``,
        ``stamp.wrong``."""
        request = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256).build()
        headers = {"Content-Type": "application/timestamp-query"}
        try:
            with urllib3.PoolManager() as pool:
                answer = pool.request(
                    "POST", self.url, body=request.as_bytes(), headers=headers, timeout=_PATIENCE,
                    retries=False, redirect=False, preload_content=False,
                )  # fmt: skip
                token = answer.read(MAX_BYTES)
        except HTTPError as error:
            raise LedgerError("stamp.unreachable", f"{self.url} does not stamp: {error}", "") from error
        if answer.status != 200:
            raise LedgerError(
                "stamp.unreachable", f"{self.url} answers {answer.status}", "is that its address?"
            )
        check(token, content, self.certificates, nonce=request.nonce)
        return token


def check(token: bytes, content: bytes, certificates: bytes, nonce: int | None = None) -> datetime:
    """When an authority saw some bytes, at the latest.  Raises :class:`LedgerError` (``stamp.wrong``)."""
    try:
        builder = VerifierBuilder(roots=load_pem_x509_certificates(certificates), nonce=nonce)
        answer = decode_timestamp_response(token)
        builder.build().verify_message(answer, content)
        return answer.tst_info.gen_time
    except (VerificationError, ValueError) as error:
        raise LedgerError(
            "stamp.wrong",
            f"this is no timestamp of it: {error}",
            "are these the authority's certificates ([ledger] timestamp_ca)?",
        ) from error


def check_of(token: bytes, note: str, at: datetime, certificates: bytes) -> None:
    """A token beside a checkpoint that says it was signed then.  Raises :class:`LedgerError`
    (``stamp.wrong``)."""
    seen = check(token, note.encode(), certificates)
    if seen < at - SLACK:
        raise LedgerError(
            "stamp.wrong",
            f"it was stamped at {to_iso(seen)}, before it says that it was signed: {to_iso(at)}",
        )


def keep(services: Services, authority: Authority | None, now: datetime) -> int:
    """Have the newest checkpoint of each log stamped; how many were.  Can be repeated.  Raises
    :class:`LedgerError`, ``StoreError``: the rest waits for the next time, for it is one authority."""
    if authority is None:
        return 0
    with connected():
        tenants = [row.id for row in TenantTable.select(TenantTable.id).order_by(TenantTable.id)]
    stamped = 0
    for tenant in tenants:
        row = newest(tenant)
        if row is None or row.stored_at is None or row.stamped_at is not None:
            continue
        claim = f"stamp:{tenant}"
        if lease.take(claim, services.owner, now):
            try:
                stamped += _one(row, services, authority, now)
            finally:
                lease.give_back(claim, services.owner)
    return stamped


def place_of(note: str) -> str:
    """Where a checkpoint's token lies."""
    return note.removesuffix(".note") + ".tsr"


def _one(row: CheckpointTable, services: Services, authority: Authority, now: datetime) -> bool:
    content, place = row.note.encode(), place_of(row.place)
    try:
        # There already where a worker died after it had put it.
        check(read_at(services.store, place), content, authority.certificates)
    except NotFound:
        put(services.store, place, authority.stamp(content), row.at + services.checkpoint_lock)
    with writing():
        mine = (CheckpointTable.id == row.id) & CheckpointTable.stamped_at.is_null()
        CheckpointTable.update(stamped_at=now).where(mine).execute()
    log.info("ledger.stamped", tenant=row.tenant_id, number=row.number)
    return True
