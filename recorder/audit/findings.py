"""An audit's findings, and what to do about each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final, Literal, ParamSpec

from recorder.catalogue.database import database
from recorder.errors import AccordError
from recorder.store.contract import Unreachable

State = Literal["warning", "wrong"]
P = ParamSpec("P")

_RESTORE: Final = (
    "compare with a backup of the catalogue (`accord restore` into an empty one); keep this one as it is"
)
_BUCKET: Final = "look for an older version of the object in the bucket, and check who can write there"
_SIGNED: Final = "find out who has the signing key, and compare with the mailed checkpoints"

NOT_CHECKED: Final = "audit.not_checked"
"""The code of a finding about what an audit could not check."""

HINTS: Final[dict[str, str]] = {
    NOT_CHECKED: "the rows or objects there contain what Accord never writes; everything else was checked: "
    + _RESTORE,
    "leaf.missing": _RESTORE,
    "leaf.changed": _RESTORE,
    "leaf.hash": _RESTORE,
    "leaf.row_differs": _RESTORE,
    "body.changed": _RESTORE,
    "body.missing": "only bodies that a signed erasure covers may be missing: " + _RESTORE,
    "log.size": _RESTORE,
    "log.rewritten": "after a restore, `accord audit reopen`; otherwise " + _RESTORE,
    "log.behind": "an old catalogue was restored: restore the newest, or run `accord audit reopen`",
    "log.missing": "after a rebuild, `accord tenant adopt`; otherwise " + _RESTORE,
    "log.begun_again": "declared by the operator: check the reason",
    "log.not_signed": "run `accord doctor` to see why the worker does not sign",
    "subtree.changed": "leaves in that range, or this cached hash, were changed afterwards",
    "checkpoint.missing": _BUCKET,
    "checkpoint.unlisted": "rows were deleted from the catalogue: " + _RESTORE,
    "checkpoint.differs": _SIGNED,
    "checkpoint.row_differs": _RESTORE,
    "checkpoint.form": _BUCKET,
    "checkpoint.foreign": _BUCKET,
    "checkpoint.signature": _BUCKET,
    "checkpoint.key_unknown": _BUCKET,
    "checkpoint.key_revoked": _SIGNED,
    "checkpoint.from_the_future": "find out which clock was wrong when it was signed",
    "checkpoint.predecessor": _BUCKET,
    "checkpoint.order": _SIGNED,
    "checkpoint.fork": "two logs were signed: " + _SIGNED,
    "endorsement.form": _BUCKET,
    "timestamp.missing": _BUCKET,
    "timestamp.wrong": _BUCKET,
    "object.unknown": "Accord never reads it: find out who put it there, keep a copy, then delete it",
    "key.differs": "run `accord audit run --deep` to see which of the two opens; then " + _BUCKET,
    "key.missing": "run `accord recording verify` for details; " + _BUCKET,
    "key.not_erased": "an erasure was interrupted, or a key was restored: delete it",
    "row.deleted": "run `accord rebuild` to restore a recording's row; for others: " + _RESTORE,
    "row.changed": "run `accord rebuild --correct` to restore a recording's row from its seal; for others: "
    + _RESTORE,
    "row.unlogged": "it was written without Accord, or its leaf was removed: " + _RESTORE,
    "index.differs": "the list shows fewer, more or other calls: `accord rebuild` makes its index again",
    "statement.missing": "a leaf without its statement decides nothing: " + _BUCKET,
    "statement.unlogged": "after a rebuild, `accord offboarding erase-again`; otherwise " + _SIGNED,
    "dispute.foreign": _RESTORE,
    "dispute.missing": _RESTORE,
    "dispute.predecessor": _RESTORE,
    "dispute.superseded": _RESTORE,
    "dispute.contradiction": _SIGNED,
    "outcome.differs": _SIGNED,
    "dispute.lost": "do not delete the copy: " + _RESTORE + "; `accord rebuild` also adds it from the bucket",
    "dispute.unlisted": "do not delete it: run the audit where the key-encryption key is",
    "offboarding.missing": _BUCKET,
    "offboarding.foreign": _BUCKET,
    "offboarding.predecessor": _BUCKET,
    "call_erasure.foreign": _BUCKET,
    "object.unplaced": _BUCKET,
    "row.erased": "the row says erased, but there is no signed tombstone: check the bucket",
    "seal.key_revoked": "treat as unverified; establish who held the key",
    "retention.differs": "a row or an object was changed: meanwhile the limit has no effect; " + _BUCKET,
    "retention.unlisted": "its row was deleted, or a holder of a signing key put it; it has no effect "
    "unless `accord rebuild` accepts it, so examine it first",
    "retention.foreign": _BUCKET,
    "object.missing": _BUCKET,
    "amendment.row_differs": "run `accord rebuild` to read the amendments from the bucket again",
}

WARNINGS: Final = frozenset({"log.begun_again", "log.not_signed"})


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """A difference from what was written. ``code`` is stable; ``where`` names the leaf, row, object or
    checkpoint."""

    code: str
    where: str
    message: str

    @property
    def state(self) -> State:
        return "warning" if self.code in WARNINGS else "wrong"

    @property
    def hint(self) -> str:
        """What to do. Codes without their own hint come from the verification of a recording's seal."""
        return HINTS.get(self.code, "run `accord recording verify` on this recording for details; " + _BUCKET)


def checked(
    where: str, step: Callable[P, Iterable[AuditFinding] | None], *args: P.args, **kwargs: P.kwargs
) -> Iterator[AuditFinding]:
    """The findings of a step of an audit. Whatever stops the step is a finding about ``where``, so that a
    tampered value hides nothing else. Raises :class:`recorder.store.contract.Unreachable`."""
    # A statement that PostgreSQL refuses must not end the snapshot.
    savepoint = database.atomic() if database.in_transaction() else nullcontext()
    try:
        with savepoint:
            yield from step(*args, **kwargs) or ()
    except Unreachable:
        raise
    except Exception as error:  # a tampered value can lead to any
        yield not_checked(where, error)


def not_checked(where: str, error: Exception) -> AuditFinding:
    """The finding that something could not be checked."""
    if isinstance(error, AccordError):
        return AuditFinding(NOT_CHECKED, where, f"it cannot be checked: {error.error_id}: {error.message}")
    return AuditFinding(NOT_CHECKED, where, f"it cannot be checked: {type(error).__name__}: {error}")
