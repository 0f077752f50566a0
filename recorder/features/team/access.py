"""Changes what somebody may do: their role, the lines whose calls they see, whether they download, and
their extensions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from recorder.catalogue.database import writing
from recorder.domain.roles import CUSTOMER
from recorder.features.team.extensions import set_extensions
from recorder.identity import download_permission, users
from recorder.ids import Entropy
from recorder.seal.amendment import By
from recorder.seal.revocation import Trust
from recorder.seal.signing import Signer


def change_access(
    tenant: str,
    user: str,
    *,
    role: str,
    lines: Sequence[str] | None,
    downloads: bool | None,
    extensions: Sequence[str] | None = None,
    signer: Signer,
    trust: Trust,
    by: By,
    now: datetime,
    entropy: Entropy,
) -> bool:
    """Change all of it, or nothing; whether the person must log in again. ``downloads`` lets a colleague
    download recordings, or no longer (``None``: as before); it ends with another role. ``extensions`` are
    theirs from now on (``None``: as before). Raises as :func:`recorder.identity.users.change_access` and
    :func:`.set_extensions`."""
    with writing():
        if users.user(tenant, user) is None:
            return False
        changed = users.change_access(
            tenant,
            user,
            role=role,
            lines=lines,
            signer=signer,
            trust=trust,
            by=by,
            now=now,
            entropy=entropy,
        )
        if role != CUSTOMER:
            downloads = False
        if downloads is not None:
            download_permission.set_permission(
                tenant, user, downloads, by, signer=signer, trust=trust, now=now, entropy=entropy
            )
        if extensions is not None:
            set_extensions(tenant, user, extensions, by=by, now=now, entropy=entropy)
    return changed
