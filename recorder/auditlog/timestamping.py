"""Timestamps checkpoints by an external authority (RFC 3161).

The holder of the signing key can backdate a checkpoint, but cannot obtain yesterday's timestamp for it. The
token is stored beside the checkpoint. Timestamping a log's newest checkpoint covers its predecessors.
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

from recorder.auditlog.checkpoint import newest, put, read_at, with_newest
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.audit_log import CheckpointTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import SLACK, to_iso
from recorder.errors import AuditLogError
from recorder.isolation import isolate_object
from recorder.services import AuditLogServices
from recorder.store.contract import NotFound

MAX_BYTES = 64 * 1024
_PATIENCE = 20.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Authority:
    """The timestamp authority: its URL, and its root certificates (PEM)."""

    url: str
    certificates: bytes

    def stamp(self, content: bytes) -> bytes:
        """Request a token for some bytes, and verify it. Raises :class:`AuditLogError`:
        ``timestamp.unreachable``, ``timestamp.wrong``."""
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
            raise AuditLogError(
                "timestamp.unreachable",
                f"{self.url} cannot be reached: {error}",
                "check timestamp_url in section [audit_log], and the network",
            ) from error
        if answer.status != 200:
            raise AuditLogError(
                "timestamp.unreachable",
                f"{self.url} responded with status {answer.status}",
                "check timestamp_url in section [audit_log]",
            )
        verify_token(token, content, self.certificates, nonce=request.nonce)
        return token


def verify_token(token: bytes, content: bytes, certificates: bytes, nonce: int | None = None) -> datetime:
    """Verify a token; returns the time by which the authority had seen the bytes. Raises
    :class:`AuditLogError` (``timestamp.wrong``)."""
    try:
        builder = VerifierBuilder(roots=load_pem_x509_certificates(certificates), nonce=nonce)
        answer = decode_timestamp_response(token)
        builder.build().verify_message(answer, content)
        return answer.tst_info.gen_time
    except (VerificationError, ValueError) as error:
        raise AuditLogError(
            "timestamp.wrong",
            f"the timestamp does not verify: {error}",
            "check that timestamp_ca in section [audit_log] has the authority's root certificates",
        ) from error


def verify_checkpoint_token(token: bytes, note: str, at: datetime, certificates: bytes) -> None:
    """Verify a checkpoint's token, and that it is not older than the checkpoint (``at``). Raises
    :class:`AuditLogError` (``timestamp.wrong``)."""
    timestamp = verify_token(token, note.encode(), certificates)
    if timestamp < at - SLACK:
        raise AuditLogError(
            "timestamp.wrong",
            f"its timestamp {to_iso(timestamp)} is earlier than its signature, {to_iso(at)}",
            "treat its time as unverified; find out whether the clock or the timestamp was changed",
        )


def stamp_due(services: AuditLogServices, authority: Authority | None, now: datetime) -> int:
    """Timestamp each log's newest checkpoint; returns the number of timestamps. Can be repeated. A checkpoint
    that gets none is reported and delays no other; the first such error is raised at the end. Raises
    :class:`AuditLogError` (``timestamp.unreachable``), ``Unreachable`` at once."""
    if authority is None:
        return 0
    with connected():
        is_due = CheckpointTable.stored_at.is_null(False) & CheckpointTable.stamped_at.is_null()
        query = with_newest(TenantTable.id).where(is_due)
        tenants = [tenant for (tenant,) in query.order_by(TenantTable.id).tuples()]
    stamped, errors = 0, []
    for tenant in tenants:
        with isolate_object(services.faults, "checkpoint.stamp_failed", tenant, tenant=tenant) as attempt:
            stamped += _stamp_newest(tenant, services, authority, now)
        if attempt.error is not None:
            errors.append(attempt.error)
    if errors:
        raise errors[0]
    return stamped


def _stamp_newest(tenant: str, services: AuditLogServices, authority: Authority, now: datetime) -> bool:
    row, claim = newest(tenant), f"stamp:{tenant}"
    if row is None or row.stored_at is None or row.stamped_at is not None:
        return False
    if not lease.take(claim, services.owner, now):
        return False
    try:
        return _one(row, services, authority, now)
    finally:
        lease.release(claim, services.owner)


def token_place(note: str) -> str:
    """The key of a checkpoint's token."""
    return note.removesuffix(".note") + ".tsr"


def _one(row: CheckpointTable, services: AuditLogServices, authority: Authority, now: datetime) -> bool:
    content, place = row.note.encode(), token_place(row.place)
    try:
        # The token exists if a worker died after it put it.
        verify_token(read_at(services.store, place), content, authority.certificates)
    except NotFound:
        put(services.store, place, authority.stamp(content), row.at + services.checkpoint_lock)
    with writing():
        mine = (CheckpointTable.id == row.id) & CheckpointTable.stamped_at.is_null()
        CheckpointTable.update(stamped_at=now).where(mine).execute()
    log.info("checkpoint.timestamped", tenant=row.tenant_id, number=row.number)
    return True
