"""What worker and panel need beside their store, as checks of their readiness."""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from recorder.catalogue.ping import ping
from recorder.catalogue.tables import lease
from recorder.catalogue.tenant_queries import newest_tenant_key
from recorder.clock import Now, to_iso, utc_now
from recorder.errors import AccordError, CatalogueError
from recorder.health import Check, HealthFinding
from recorder.seal.kek_files import unreadable_files
from recorder.seal.keyring import Keyring
from recorder.seal.revocation import Trust
from recorder.seal.signing import PANEL_ENDORSEMENT, PANEL_KEY, Signer
from recorder.store.directory import written_folders

SECRET: Final = "panel secret"  # noqa: S105  # the lease's name
"""The lease that the panels with the same secret share."""

RENEW_S: Final = 60.0
"""Seconds after which that lease is renewed."""


class CatalogueChecks:
    """The check of the catalogue, and ``dependents``: checks that ask the catalogue. They run right after it
    answered. While it does not, they keep their last finding, so that one cause is one unhealthy finding."""

    def __init__(self, dependents: Mapping[str, Check]) -> None:
        self._dependents = dependents
        self._findings: dict[str, HealthFinding] = {}

    def checks(self) -> dict[str, Check]:
        """All of them by name."""
        return {"catalogue": self._ask, **{name: partial(self._find, name) for name in self._dependents}}

    def _ask(self) -> HealthFinding:
        finding = ping()
        for name, check in self._dependents.items():
            try:
                self._findings[name] = check()
            except CatalogueError:
                raise
            except AccordError as error:
                self._findings[name] = HealthFinding(False, error.message, error.hint)
        return finding

    def _find(self, name: str) -> HealthFinding:
        return self._findings.get(name, HealthFinding(True, "not known until the catalogue answers"))


def check_keyring(keyring: Keyring, folder: Path) -> HealthFinding:
    """Whether the key-encryption key is the one that wraps customers' keys, and those in the keys ``folder``
    that a rotation needs can be read. Raises :class:`SealError`, :class:`CatalogueError`."""
    if closed := unreadable_files(folder):
        names = " ".join(map(str, closed))
        return HealthFinding(
            False, f"this process may not read {names}", f"`chown --reference={folder} {names}`"
        )
    wrapped = newest_tenant_key()
    if wrapped is not None:
        keyring.open_tenant_key(wrapped)
    return HealthFinding(True, "the key-encryption key opens customers' keys")


def check_store_folder(folder: Path) -> HealthFinding:
    """Whether this process may write to every customer's folder of a store that is a folder, such as that of
    their keys: while root owns one, no take of that customer is stored."""
    needed = os.R_OK | os.W_OK | os.X_OK
    folders = written_folders(folder)
    if closed := [each for each in folders if not os.access(each, needed, effective_ids=True)]:
        more = f" and {len(closed) - 1} more folders" if len(closed) > 1 else ""
        what = f"this process may not write to {closed[0]}{more}"
        return HealthFinding(False, what, f"`chown -R --reference={folder} {folder}`")
    return HealthFinding(True, "every customer's folder in the store can be written")


def check_signing_key(signer: Signer | None, uses: Collection[str], trust: Trust, now: Now) -> HealthFinding:
    """Whether a signing key may sign all that its process signs; only a panel can lack one. Raises
    :class:`SealError`."""
    if signer is None:
        return HealthFinding(
            False,
            f"there is no {PANEL_KEY} among the keys: pages that sign something are refused",
            f"copy {PANEL_KEY} and {PANEL_ENDORSEMENT} from another panel's keys, or make them with "
            "`accord key renew`; then restart the panel",
        )
    at = now()
    for use in uses:
        signer.check(use, at)
    since = trust.revoked().get(signer.key_id)
    if since is not None and since <= at:
        return HealthFinding(
            False,
            f"signing key {signer.key_id} was revoked from {to_iso(since)} on",
            "make another one with `accord key renew`, and restart this process",
        )
    return HealthFinding(True, f"signing key {signer.key_id} is endorsed")


class SecretCheck:
    """Whether all panels of a catalogue sign forms with one secret: a form that one panel showed is sent to
    another. The first secret counts until its panels end. ``monotonic`` returns seconds."""

    def __init__(
        self, secret: bytes, now: Now = utc_now, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        # Short: it tells secrets apart, and is of no help in guessing one.
        self._owner = hmac.digest(secret, SECRET.encode(), "sha256").hex()[:8]
        self._now = now
        self._monotonic = monotonic
        self._taken_at = float("-inf")

    def __call__(self) -> HealthFinding:
        """Raises :class:`CatalogueError`."""
        if self._monotonic() - self._taken_at >= RENEW_S:
            if not lease.take(SECRET, self._owner, self._now()):
                return HealthFinding(
                    False,
                    "another panel signs forms with another secret: forms sent to this one are refused",
                    "give all panels the same [web] secret_key, or the same file `web` among their keys, and "
                    "restart them; a changed secret counts once no panel has the old one, after five minutes "
                    "at most",
                )
            self._taken_at = self._monotonic()
        return HealthFinding(True, "no other panel signs forms with another secret")

    def release(self) -> None:
        """Let another secret count; other panels with this one take it again. Raises
        :class:`CatalogueError`."""
        if self._taken_at > float("-inf"):
            lease.release(SECRET, self._owner)
