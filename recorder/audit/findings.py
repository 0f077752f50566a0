"""An audit's findings: a code, the place, what it means, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

State = Literal["warning", "wrong"]

_RESTORE: Final = (
    "compare with a backup of the catalogue (`accord restore` into an empty one); keep this one as it is"
)
_BUCKET: Final = "look for an older version of the object in the bucket, and for who may write there"
_SIGNED: Final = "ask who holds the signing key, and compare with the copies that went out by mail"

HINTS: Final[dict[str, str]] = {
    "leaf.missing": _RESTORE,
    "leaf.changed": _RESTORE,
    "leaf.hash": _RESTORE,
    "leaf.row_differs": _RESTORE,
    "body.changed": _RESTORE,
    "body.missing": "only what is about an erased recording may be missing: " + _RESTORE,
    "log.size": _RESTORE,
    "log.rewritten": "after a restore, `accord audit begin`; otherwise " + _RESTORE,
    "log.behind": "an old catalogue was restored: restore the newest, or run `accord audit begin`",
    "log.missing": "after a rebuild, `accord tenant adopt`; otherwise " + _RESTORE,
    "log.begun_again": "declared by the operator: is the reason a good one?",
    "log.not_signed": "`accord doctor` says why the worker does not sign",
    "subtree.changed": "leaves in that range were changed after they were complete, or this hash was",
    "checkpoint.missing": _BUCKET,
    "checkpoint.unlisted": "rows were deleted from the catalogue: " + _RESTORE,
    "checkpoint.differs": _SIGNED,
    "checkpoint.row_differs": _RESTORE,
    "checkpoint.form": _BUCKET,
    "checkpoint.foreign": _BUCKET,
    "checkpoint.signature": _BUCKET,
    "checkpoint.key_unknown": _BUCKET,
    "checkpoint.key_revoked": _SIGNED,
    "checkpoint.from_the_future": "which clock was wrong when it was signed?",
    "checkpoint.predecessor": _BUCKET,
    "checkpoint.order": _SIGNED,
    "checkpoint.fork": "two logs were signed: " + _SIGNED,
    "endorsement.form": _BUCKET,
    "timestamp.missing": _BUCKET,
    "timestamp.wrong": _BUCKET,
    "object.unknown": "Accord never reads it: find out who put it there, keep a copy, then delete it",
    "key.differs": "`accord audit --deep` says which of the two opens; then " + _BUCKET,
    "key.missing": "`accord verify` says more; " + _BUCKET,
    "key.not_erased": "an erasure was interrupted, or a key was restored: delete it",
    "row.deleted": "`accord rebuild` restores a recording's row; for others: " + _RESTORE,
    "row.changed": "`accord rebuild --correct` sets a recording's row to what was sealed; for others: "
    + _RESTORE,
    "row.unlogged": "it was written without Accord, or its leaf was removed: " + _RESTORE,
    "statement.missing": "a leaf without its statement decides nothing: " + _BUCKET,
    "statement.unlogged": "after a rebuild, `accord tenant leave complete`; otherwise " + _SIGNED,
    "offboarding.missing": _BUCKET,
    "offboarding.foreign": _BUCKET,
    "offboarding.predecessor": _BUCKET,
    "call_erasure.foreign": _BUCKET,
    "object.unplaced": _BUCKET,
    "row.erased": "the catalogue says destroyed, but there is no signed tombstone: check the bucket",
    "seal.key_revoked": "treat as unverified; establish who held the key",
    "retention.differs": "a row or an object was changed: the limit destroys nothing meanwhile; " + _BUCKET,
    "retention.unlisted": "its row was deleted, or a holder of a signing key put it; it has no effect "
    "unless `accord rebuild` accepts it: examine it first",
    "retention.foreign": _BUCKET,
    "object.missing": _BUCKET,
    "amendment.row_differs": "`accord rebuild` reads them from the bucket again",
}

WARNINGS: Final = frozenset({"log.begun_again", "log.not_signed"})


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Something that is not as it was written. ``code`` is stable; ``where`` names the tenant's leaf, row,
    object or checkpoint."""

    code: str
    where: str
    message: str

    @property
    def state(self) -> State:
        return "warning" if self.code in WARNINGS else "wrong"

    @property
    def hint(self) -> str:
        """What to do; for a finding of the seal's own checks, `accord verify` explains it."""
        return HINTS.get(self.code, "`accord verify` says more of this recording; " + _BUCKET)
