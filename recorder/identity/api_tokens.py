"""API tokens of customers' programs. A token is shown once, when it is created; only its hash is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append
from recorder.catalogue.database import connected, writing
from recorder.catalogue.row_values import read_value
from recorder.catalogue.tables.identity import ApiTokenTable
from recorder.domain import names
from recorder.errors import CatalogueError, SealError
from recorder.identity.secret_tokens import new_token, token_hash
from recorder.ids import Entropy, uuid7
from recorder.seal.credential import TOKEN, Credential, check, write
from recorder.seal.revocation import Revoked
from recorder.seal.signing import Signer

REVOKED: Final = "token.revoked"

MOST: Final = 50
"""Tokens of a customer that are in use."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A tenant's token; ``name`` says which program has it."""

    id: str
    tenant: str
    name: str
    created_at: datetime
    revoked_at: datetime | None
    token_sha256: str
    credential: str | None
    """The signed credential (:mod:`recorder.seal.credential`); without it the token is refused."""


def issue(
    tenant: str,
    *,
    name: str,
    who: str | None,
    now: datetime,
    entropy: Entropy,
    signer: Signer,
) -> tuple[TokenRow, str]:
    """Create a token for a program's ``name``, by one of the customer's admins (``who``) or by the operator;
    returns its row, and the token, which is stored nowhere. Raises :class:`CatalogueError` (``token.name``,
    ``token.limit``), and as :func:`create`."""
    name = names.tidy(name, "the program's name", "token.name")
    if sum(row.revoked_at is None for row in tokens(tenant)) >= MOST:
        raise CatalogueError("token.limit", f"{MOST} tokens are in use", "revoke one that no program needs")
    secret = "accord_" + new_token(entropy)
    row = create(
        tenant, name=name, token_sha256=token_hash(secret), who=who, now=now, entropy=entropy, signer=signer
    )
    return row, secret


def create(
    tenant: str,
    *,
    name: str,
    token_sha256: str,
    who: str | None = None,
    now: datetime,
    entropy: Entropy,
    signer: Signer | None = None,
) -> TokenRow:
    """Create a token, with a credential signed by ``signer``. Raises :class:`CatalogueError`
    (``tenant.unknown``), :class:`recorder.errors.SealError` for a key that is not endorsed for it."""
    identity = str(uuid7(now, entropy))
    signed = None if signer is None else write(_credential(tenant, identity, token_sha256, now), signer)
    with writing():
        row = ApiTokenTable.create(
            id=identity, tenant_id=tenant, name=name, token_sha256=token_sha256, created_at=now,
            credential=signed,
        )  # fmt: skip
        body = {"token": row.id, "token_sha256": token_sha256, "name": name} | _actor(who)
        append(tenant, "token.created", body, now, entropy)
    return token_row(row)


def token_by_hash(token_sha256: str) -> TokenRow | None:
    """The token with this hash; ``None`` if it is unknown or revoked. It takes no tenant, because it finds
    it; only the token's holder knows the hash."""
    with connected():
        row = ApiTokenTable.get_or_none(
            (ApiTokenTable.token_sha256 == token_sha256) & ApiTokenTable.revoked_at.is_null()
        )
    return None if row is None else token_row(row)


def tokens(tenant: str) -> tuple[TokenRow, ...]:
    """A tenant's tokens, oldest first."""
    with connected():
        query = (
            ApiTokenTable.select()
            .where(ApiTokenTable.tenant_id == tenant)
            .order_by(ApiTokenTable.created_at, ApiTokenTable.id)
        )
        return tuple(token_row(row) for row in query)


def revoke(tenant: str, token_id: str, *, who: str | None = None, now: datetime, entropy: Entropy) -> bool:
    """Revoke a tenant's token at once, by an admin (``who``) or the operator. False if there is none, or if
    it was revoked before."""
    with writing():
        changed = (
            ApiTokenTable.update(revoked_at=now, credential=None)
            .where(
                (ApiTokenTable.tenant_id == tenant)
                & (ApiTokenTable.id == token_id)
                & ApiTokenTable.revoked_at.is_null()
            )
            .execute()
        )
        if changed:
            append(tenant, REVOKED, {"token": token_id} | _actor(who), now, entropy)
    return bool(changed)


def check_token(row: TokenRow, root: Ed25519PublicKey, revoked: Revoked) -> None:
    """Refuse a token whose row is not as it was signed. Raises :class:`recorder.errors.SealError` as
    :func:`recorder.seal.credential.check`."""
    expected = _credential(row.tenant, row.id, row.token_sha256, row.created_at)
    check(row.credential, expected, root, revoked)


def check_not_revoked(row: TokenRow) -> None:
    """Refuse a token that was revoked according to the log. Raises :class:`recorder.errors.SealError`
    (``credential.superseded``)."""
    if any(leaf.body.get("token") == row.id for leaf in leaf_lookup.find_decisions(row.tenant, [REVOKED])):
        what, hint = f"token {row.id} was revoked", "an older row was restored: run `accord audit run`"
        raise SealError("credential.superseded", what, hint)


def _actor(who: str | None) -> dict[str, str]:
    return {} if who is None else {"actor": who}


def _credential(tenant: str, token_id: str, token_sha256: str, at: datetime) -> Credential:
    return Credential(tenant, TOKEN, token_id, None, token_sha256, at)


def token_row(row: ApiTokenTable) -> TokenRow:
    """A token's row as a value."""
    return read_value(TokenRow, row)
