"""Signed settings, numbered and in the log: second factors, permissions to download, rules, branding.

A row alone decides nothing. The statement in it must be signed for that row's owner, and be the one that the
log named last: neither an older one nor another one with the same number counts. So whoever writes rows can
take a setting away, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from recorder.auditlog.append import append, owning_recording, sha256_of
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.clock import truncate
from recorder.errors import SealError
from recorder.ids import Entropy
from recorder.seal.amendment import By
from recorder.seal.revocation import Trust, is_doubtful
from recorder.seal.signed_document import Kind, Verified
from recorder.seal.signing import Signer

HINT: Final = (
    "set it again (`accord user reset-second-factor` for second factors); `accord audit run` names such rows"
)

Value = TypeVar("Value")

SettingPlace = tuple[str, str, int]
"""Tenant, id of the row, and number of a setting."""


@dataclass(frozen=True, slots=True)
class SignedSetting(Generic[Value]):
    """A kind of setting, kept in ``table``, with a leaf of the kind ``leaf_kind`` for each statement.
    ``place_of`` says where a value belongs."""

    kind: Kind[Value]
    table: Any
    leaf_kind: str
    place_of: Callable[[Value], SettingPlace]

    def save(
        self, value: Value, by: By, body: Mapping[str, object], *, signer: Signer, now: datetime,
        entropy: Entropy, **columns: object,
    ) -> None:  # fmt: skip
        """Sign the next value, put it into its row with more ``columns``, and append its leaf, with more
        fields, the ``body``. The customer must be locked, and the value's number be the next one. Raises
        :class:`SealError` for a key that is not endorsed for it."""
        tenant, owner, number = self.place_of(value)
        statement = self.kind.write(value, signer, truncate(now)).decode()
        row = {"tenant_id": tenant, "number": number, "statement": statement, **columns}
        insert = self.table.insert(id=owner, **row)
        insert.on_conflict(conflict_target=[self.table.id], update=row).execute()
        signed = {"number": number, "statement_sha256": sha256_of(statement)}
        author = {"by": by.kind, "actor": by.id or ""}
        stated = {**signed, **author, **body}
        append(
            tenant, self.leaf_kind, stated, now, entropy, recording=owning_recording(self.leaf_kind, stated)
        )

    def check(self, row: Any, leaves: Sequence[LoggedLeaf], trust: Trust) -> Verified[Value]:
        """The setting in a row of the table, given all leaves about its owner's. Raises
        :class:`SealError`: ``setting.differs`` (it belongs elsewhere), ``setting.superseded`` (it is not the
        newest in the log), ``seal.key_revoked``, and as :meth:`Kind.read`."""
        statement, place = row.statement, (row.tenant_id, row.id, row.number)
        signed, newest = self.kind.read(statement.encode(), trust.root), newest_leaf(leaves)
        what = f"{self.kind.name} {place[2]} of {place[1]}"
        if self.place_of(signed.value) != place:
            raise SealError("setting.differs", f"{what} differs from the signed one", HINT)
        logged = newest and (newest.body["number"], newest.body.get("statement_sha256"))
        if newest is None or logged != (place[2], sha256_of(statement)):
            raise SealError("setting.superseded", f"{what} is not the newest in the log", HINT)
        if is_doubtful(signed.key_id, signed.at, newest.at, trust.revoked()):
            raise SealError(
                "seal.key_revoked", f"key {signed.key_id}, which signed {what}, was revoked", HINT
            )
        return signed


def newest_leaf(leaves: Sequence[LoggedLeaf]) -> LoggedLeaf | None:
    """The leaf with the largest number of a setting."""
    return max(leaves, key=lambda leaf: int(leaf.body["number"]), default=None)


def newest_number(leaves: Sequence[LoggedLeaf]) -> int:
    """The largest number of a setting; 0 if there is none."""
    newest = newest_leaf(leaves)
    return 0 if newest is None else int(newest.body["number"])
