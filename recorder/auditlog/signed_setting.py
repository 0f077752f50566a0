"""Signed settings, numbered and in the log: second factors, permissions to download, rules, branding.

A row alone decides nothing. The statement in it must be signed for that row's owner, and be the one that the
log named last: neither an older one nor another one with the same number counts. So whoever writes rows can
take a setting away, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from recorder.auditlog.append import sha256_of
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.errors import SealError
from recorder.seal.revocation import Trust, is_doubtful
from recorder.seal.signed_document import Kind, Verified

HINT: Final = (
    "set it again (`accord user reset-second-factor` for second factors); `accord audit run` names such rows"
)

Value = TypeVar("Value")

SettingPlace = tuple[str, str, int]
"""Tenant, id of the row, and number of a setting."""


@dataclass(frozen=True, slots=True)
class SignedSetting(Generic[Value]):
    """A kind of setting. ``place_of`` says where a value belongs. Its leaves
    have ``number`` and ``statement_sha256``."""

    kind: Kind[Value]
    place_of: Callable[[Value], SettingPlace]

    def check(
        self, statement: str, place: SettingPlace, leaves: Sequence[LoggedLeaf], trust: Trust
    ) -> Verified[Value]:
        """The setting in a row, which is at ``place``, given all leaves about its owner's. Raises
        :class:`SealError`: ``setting.differs`` (it belongs elsewhere), ``setting.superseded`` (it is not the
        newest in the log), ``seal.key_revoked``, and as :meth:`Kind.read`."""
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
