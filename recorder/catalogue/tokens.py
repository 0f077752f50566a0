"""What a customer's own programs ask with.  A token is shown once, when it is made; only its hash is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recorder.catalogue.calls import ApiToken
from recorder.catalogue.database import connected, writing
from recorder.ids import Entropy, uuid7
from recorder.ledger.append import append


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token of a tenant's; ``name`` says which program has it."""

    id: str
    tenant: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


def create(tenant: str, *, name: str, token_sha256: str, now: datetime, entropy: Entropy) -> TokenRow:
    """A new one.  Raises :class:`CatalogueError` (``tenant.unknown``)."""
    with writing():
        row = ApiToken.create(
            id=str(uuid7(now, entropy)), tenant_id=tenant, name=name, token_sha256=token_sha256,
            created_at=now,
        )  # fmt: skip
        said = {"token": row.id, "token_sha256": token_sha256, "name": name}
        append(tenant, "token.created", said, now, entropy)
    return _row(row)


def by_hash(token_sha256: str) -> TokenRow | None:
    """Whose a token is that somebody shows; ``None`` for one that is unknown or was revoked.  It has no
    tenant, for it answers whose it is; only who has the token can ask."""
    with connected():
        row = ApiToken.get_or_none((ApiToken.token_sha256 == token_sha256) & ApiToken.revoked_at.is_null())
    return None if row is None else _row(row)


def tokens(tenant: str) -> tuple[TokenRow, ...]:
    """A tenant's, the oldest first."""
    with connected():
        query = (
            ApiToken.select().where(ApiToken.tenant_id == tenant).order_by(ApiToken.created_at, ApiToken.id)
        )
        return tuple(_row(row) for row in query)


def revoke(tenant: str, token_id: str, *, now: datetime, entropy: Entropy) -> bool:
    """End a tenant's token, at once.  False where there is none, or not any more."""
    with writing():
        changed = (
            ApiToken.update(revoked_at=now)
            .where((ApiToken.tenant_id == tenant) & (ApiToken.id == token_id) & ApiToken.revoked_at.is_null())
            .execute()
        )
        if changed:
            append(tenant, "token.revoked", {"token": token_id}, now, entropy)
    return bool(changed)


def _row(row: ApiToken) -> TokenRow:
    return TokenRow(row.id, row.tenant_id, row.name, row.created_at, row.revoked_at)
