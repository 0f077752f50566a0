"""People with a password that is chosen for them: for the demonstration and for tests. In an installation
everybody accepts an invitation, and chooses their own."""

from __future__ import annotations

import os

from recorder.catalogue.records import TenantRow, UserRow
from recorder.clock import utc_now
from recorder.identity import passwords, users
from recorder.seal.signing import Signer


def make_user(
    owner: TenantRow,
    login: str,
    signer: Signer,
    *,
    name: str,
    role: str,
    language: str | None,
    password: str,
) -> UserRow:
    """Create a user who can log in.  Raises :class:`recorder.errors.CatalogueError` (``user.password…``)."""
    from web.account.passwords import hash_password

    passwords.check(password, (login, name, owner.name))
    return users.create_user(
        owner.id,
        login=login,
        name=name or login,
        role=role,
        language=language or owner.language,
        password_hash=hash_password(password),
        now=utc_now(),
        entropy=os.urandom,
        signer=signer,
    )
