"""Opens the catalogue, the store and the keys that the settings name, for every command and process."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from recorder.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from recorder.config import Settings
    from recorder.features.disputes.dial_in import DialIn
    from recorder.lifecycle.amendment_service import Changes
    from recorder.mail.outbox import Outbox
    from recorder.seal.keyring import Keyring
    from recorder.seal.revocation import Revocations, Trust
    from recorder.seal.signing import Endorsement, Signer
    from recorder.services import AuditLogServices, Services
    from recorder.store.contract import Store
from recorder.verification_calls.policy import CallPolicy


@dataclass(frozen=True, slots=True)
class Context:
    """The settings, and the file that they came from.  Each method opens one thing on request, because few
    commands need, or have, all of them."""

    settings: Settings
    config_path: Path | None

    def open_catalogue(self) -> None:
        """Open the catalogue for this process, and read the plans of its customers.  Raises
        :class:`CatalogueError` where its schema is not this version's, :class:`ConfigError`
        (``plans.broken``)."""
        from recorder.catalogue.database import open_catalogue
        from recorder.catalogue.schema import check_schema
        from recorder.lifecycle import plans

        plans.use_file(self.settings.web.plans)

        check_schema(self.settings.catalogue_url)
        open_catalogue(self.settings.catalogue_url, connections=self.settings.catalogue.connections)

    def migrate(self) -> tuple[str, ...]:
        """Bring the catalogue's schema up to this version, making it where there is none, and with it the
        store's folder; returns the names of the applied migrations.  Raises :class:`CatalogueError` as
        :func:`recorder.catalogue.schema.migrate`."""
        from recorder.catalogue.schema import FIRST, migrate
        from recorder.processes import object_store

        self.settings.node.data.mkdir(mode=0o750, parents=True, exist_ok=True)
        applied = migrate(self.settings.catalogue_url)
        if FIRST in applied and self.settings.store.kind == "directory":
            object_store.directory(self.settings).init()
        return applied

    def keyring(self) -> Keyring:
        """The key-encryption keys: the one of the settings or its file, and others in the folder.  Raises
        :class:`ConfigError`."""
        from recorder.seal import kek_files

        return kek_files.keyring(self.settings.keys_folder, self.settings.keys.kek.get_secret_value())

    def root(self) -> Ed25519PublicKey:
        """The root's public key.  Raises :class:`ConfigError`."""
        from recorder.seal import signing

        return signing.load_public(self.settings.keys_folder / signing.ROOT_PUBLIC)

    def revoked(self) -> Revocations:
        """The keys that the root revoked, from files among the keys.  Raises :class:`ConfigError`."""
        from recorder.seal.revocation import Revocations

        return Revocations(self.settings.keys_folder, self.root())

    def trust(self) -> Trust:
        """Verifies signed statements.  Raises :class:`ConfigError`."""
        from recorder.seal.revocation import Trust

        return Trust(self.root(), self.revoked())

    def signer(self) -> Signer:
        """The key that signs manifests, with its endorsement.  Raises :class:`ConfigError`."""
        from recorder.seal import signing

        folder = self.settings.keys_folder
        return signing.load_signer(folder / signing.SIGNING_KEY, folder / signing.ENDORSEMENT, self.root())

    def panel_signer(self) -> Signer | None:
        """The key that the panel signs amendments with; ``None`` where there is none.  Raises
        :class:`ConfigError`."""
        from recorder.seal import signing

        folder = self.settings.keys_folder
        key, endorsement = folder / signing.PANEL_KEY, folder / signing.PANEL_ENDORSEMENT
        return signing.load_signer(key, endorsement, self.root()) if key.exists() else None

    def panel_endorsement(self) -> Endorsement | None:
        """The root's endorsement of the panel's key, ``None`` where it is not on this machine.  Raises
        :class:`ConfigError`, :class:`SealError` where the root did not sign it."""
        from recorder.seal import signing

        path = self.settings.keys_folder / signing.PANEL_ENDORSEMENT
        if not path.exists():
            return None
        endorsement = signing.load_endorsement(path)
        endorsement.check_root(self.root())
        return endorsement

    def changes(self) -> Changes:
        """Writes amendments and statements as the operator.  Raises :class:`ConfigError`."""
        from recorder.lifecycle.amendment_service import Changes

        return Changes(self.store(), self.root(), self.signer(), revoked=self.revoked())

    def audit_log_services(self) -> AuditLogServices:
        """What signing checkpoints needs: no key-encryption key, which may be absent from this machine.
        Raises :class:`ConfigError`."""
        from recorder.services import AuditLogServices

        return AuditLogServices(
            store=self.store(),
            signer=self.signer(),
            root=self.root(),
            checkpoint_lock=timedelta(days=self.settings.audit_log.lock_days),
        )

    def services(self) -> Services:
        """What the pipeline and the worker's duties work with.  Raises :class:`ConfigError`,
        :class:`recorder.errors.StoreError`."""
        from recorder.processes import object_store
        from recorder.services import Services

        settings = self.settings
        return Services(
            store=self.store(),
            keyring=self.keyring(),
            signer=self.signer(),
            root=self.root(),
            spool=settings.node.spool_folder.absolute(),
            snapshot=settings.node.snapshot_folder.absolute(),
            revoked=self.revoked(),
            lock=object_store.lock(settings),
            lock_eraser=object_store.open_erasing(settings),
            checkpoint_lock=timedelta(days=settings.audit_log.lock_days),
            backups_kept=timedelta(days=settings.keys.backups_kept_days),
        )

    def call_policy(self) -> CallPolicy:
        """Which numbers are called, by the settings."""
        return CallPolicy(
            self.settings.verification_calls.countries,
            calls_a_day=self.settings.verification_calls.calls_a_day,
        )

    def dial_in(self) -> DialIn | None:
        """How guests enter rooms by telephone, where the settings name a number.  Raises
        :class:`ConfigError`."""
        from recorder.features.disputes.dial_in import DialIn

        number = self.settings.rooms.number
        return DialIn(number, self.keyring(), self.trust()) if number else None

    def outbox(self) -> Outbox:
        """Queues mail to people, where the settings name a mail server and the panel's address.  Raises
        :class:`ConfigError`."""
        from recorder.clock import utc_now
        from recorder.features.branding.service import CurrentBranding, provider_name
        from recorder.mail.outbox import Outbox

        settings = self.settings
        if not (settings.mail.host and settings.web.address):
            return Outbox(panel=settings.web.address)
        branding = CurrentBranding(self.trust(), utc_now)
        return Outbox(
            self.keyring(), settings.web.address, lambda: provider_name(branding(), settings.brand.name)
        )

    def store(self) -> Store:
        """The object store, with retries.  Raises :class:`ConfigError`, :class:`StoreError`."""
        from recorder.processes import object_store

        return object_store.open_store(self.settings)

    def probe_store(self) -> Store:
        """The object store without retries and with short time limits, for probes.  Raises
        :class:`ConfigError`."""
        from recorder.processes import object_store

        return object_store.probe(self.settings)

    def witnesses(self) -> dict[str, Callable[[], datetime | None]]:
        """Other machines' clocks by name: the database's, and the object store's."""
        from recorder.catalogue.server_clock import time_of_catalogue
        from recorder.store.server_clock import server_time

        settings = self.settings
        found: dict[str, Callable[[], datetime | None]] = {"the database": time_of_catalogue}
        if settings.store.kind == "s3":
            from recorder.processes import object_store

            found["the object store"] = lambda: server_time(object_store.bucket(settings))
        return found

    def web_secret(self) -> bytes:
        """The secret that signs the panel's forms: from the settings, or generated once beside the keys."""
        from recorder.seal.keyring import read_private, write_private

        if text := self.settings.web.secret_key.get_secret_value():
            if len(text.encode()) < 32:
                raise ConfigError(
                    "config.invalid",
                    "[web] secret_key is too short",
                    "set one of 32 bytes or more: `openssl rand -base64 32` makes one",
                )
            return text.encode()
        path = self.settings.keys_folder / "web"
        if not path.exists():
            self.settings.keys_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, secrets.token_urlsafe(48).encode())
        return read_private(path)
