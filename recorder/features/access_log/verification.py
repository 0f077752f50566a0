"""What somebody needs to check one entry without Accord: the leaf, its path to a signed checkpoint, and the
endorsement of the key that signed it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.auditlog import inclusion_proof
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.errors import AuditLogError
from recorder.seal import canonical_json
from recorder.store.contract import Store
from recorder.strict_json import unb64


@dataclass(frozen=True, slots=True)
class EntryProof:
    """An entry's file (:mod:`recorder.auditlog.inclusion_proof`), and what it contains: the leaf as it was
    hashed, its commitment, the salt (hex) and the body, ``None`` if those were erased, the hashes of its
    path, and the signed checkpoint."""

    file: bytes
    leaf: str
    commitment: str
    salt: str | None
    body: str | None
    path: tuple[str, ...]
    checkpoint: int
    size: int
    signed_at: datetime
    root: str


@dataclass(frozen=True, slots=True)
class EntryProofs:
    """Builds the files that ``accord audit verify-proof`` reads, and verifies each itself. The ``store`` has
    the endorsements, ``root`` is the installation's public key."""

    store: Store
    root: Ed25519PublicKey

    def build(self, tenant: str, number: int) -> EntryProof:
        """The file of one of a tenant's leaves, with the first checkpoint over it. Raises
        :class:`AuditLogError`: ``leaf.unknown``, ``audit_log.unsigned`` (the next checkpoint will have it),
        ``audit_log.rewritten`` and the codes of :func:`inclusion_proof.verify_proof` (it is not what was
        signed); :class:`recorder.errors.CatalogueError` (``audit_log.gap``), ``SealError``,
        ``StoreError``."""
        with connected():
            mine = (LeafTable.tenant == tenant) & (LeafTable.number == number)
            identity = LeafTable.select(LeafTable.id).where(mine).scalar()
        if identity is None:
            raise AuditLogError(
                "leaf.unknown", f"there is no leaf {number} of {tenant}", "check the number and the customer"
            )
        file = inclusion_proof.build_proof(identity, self.store, self.root)
        proof = inclusion_proof.verify_proof(file, self.root)
        if (proof.leaf["tenant"], proof.leaf["number"]) != (tenant, number):
            raise AuditLogError(
                "leaf.changed",
                f"leaf {number} of {tenant} has been replaced by another one",
                "run `accord audit run`, and compare with a backup of the catalogue",
            )
        fields = canonical_json.load(file, "file")
        salt = fields["salt"]
        return EntryProof(
            file=file,
            leaf=fields["leaf"],
            commitment=proof.leaf["commitment"],
            salt=None if salt is None else unb64(salt).hex(),
            body=fields["body"],
            path=tuple(fields["path"]),
            checkpoint=proof.head.number,
            size=proof.head.size,
            signed_at=proof.head.at,
            root=proof.head.root.hex(),
        )
