"""Creates customers: by the operator, or by themselves where the provider lets them register; and the tenant
of the provider's own people."""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from recorder.auditlog.append import append
from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.database import writing
from recorder.catalogue.records import TenantRow, UserRow
from recorder.domain.roles import ADMIN, PROVIDER
from recorder.errors import CatalogueError
from recorder.features.tenants.default_lines import give_shipped
from recorder.identity import tenants, users
from recorder.ids import Entropy, uuid7
from recorder.lifecycle.plans import STARTER, find_plan
from recorder.prompts.composer import SHIPPED
from recorder.prompts.country_rules import STRICT
from recorder.prompts.sound_sources import Sources
from recorder.seal.keyring import Keyring
from recorder.seal.signing import Signer

Admission = Literal["closed", "code", "open"]
ADMISSIONS: Final[tuple[Admission, ...]] = ("closed", "code", "open")
"""Who may register: nobody, whoever has the provider's code, or anybody."""

CUSTOMER_CREATED: Final = "customer.created"
"""The leaf in the provider's log about a customer that one of its people created."""


@dataclass(frozen=True, slots=True)
class NewAdmin:
    """The first admin of a customer who registers; ``password_hash`` is argon2's string."""

    login: str
    name: str
    language: str
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Registration:
    """Creates customers with a key of their own and announcements for their country.  ``signer`` signs the
    credentials of their admins; ``admission`` and ``code`` say who may register; ``country`` is suggested
    where nothing else is known; ``known_names`` are those of all customers, where many are created at
    once."""

    keyring: Keyring
    signer: Signer | None = None
    admission: Admission = "closed"
    code: str = field(default="", repr=False)
    plan: str = STARTER
    sources: Sources = SHIPPED
    entropy: Entropy = os.urandom
    known_names: tenants.CustomerNames | None = None
    country: str = STRICT

    @property
    def is_open(self) -> bool:
        """Whether anybody can register at all."""
        return self.signer is not None and (self.admission == "open" or self.needs_code)

    @property
    def needs_code(self) -> bool:
        return self.admission == "code" and bool(self.code)

    def _check_open(self) -> None:
        if not self.is_open:
            raise CatalogueError("registration.closed", "nobody can register here", "ask your provider")

    def check_code(self, code: str) -> None:
        """Raises :class:`CatalogueError` (``registration.closed``, ``registration.code``)."""
        self._check_open()
        if self.needs_code and not hmac.compare_digest(code.strip().encode(), self.code.encode()):
            raise CatalogueError(
                "registration.code", "the provider's code is another one", "ask your provider"
            )

    def create_customer(
        self,
        name: str,
        *,
        language: str,
        languages: Sequence[str],
        time_zone: str,
        country: str,
        plan: str = "",
        by: UserRow | None = None,
        now: datetime,
    ) -> TenantRow:
        """Create a customer whose wrapped key is in the catalogue (the worker copies it to the bucket before
        the first recording), with announcements of its own in all its ``languages``, for the laxest mode that
        its country allows.  What one of the provider's people does in the panel (``by``) is noted in the
        provider's log.  Raises :class:`CatalogueError` (as
        :func:`recorder.identity.tenants.create_tenant`, and ``tenant.plan``), :class:`SealError` where the
        key-encryption key is not the one that wraps the existing customers' keys: two would be in use."""
        known = find_plan(plan or self.plan)
        identity = str(uuid7(now, self.entropy))
        with writing():
            row = tenants.create_tenant(
                identity,
                name=name,
                wrapped_key=self._new_key(identity),
                language=language,
                languages=languages,
                time_zone=time_zone,
                country=country,
                plan=known.code,
                known_names=self.known_names,
                now=now,
                entropy=self.entropy,
            )
            if by is not None:
                body = {"customer": identity, "by": "user", "actor": by.id}
                append(by.tenant, CUSTOMER_CREATED, body, now, self.entropy)
        give_shipped(row, now, self.entropy, self.sources)
        return row

    def open_provider(self, name: str, language: str, now: datetime) -> TenantRow:
        """The tenant of the provider's own people, created for the first of them, with the ``name`` that
        their invitations have.  Raises :class:`SealError` as :meth:`create_customer`."""
        with writing():
            tenants.rename_provider(name, now=now, entropy=self.entropy)
            return queries.tenant(PROVIDER) or tenants.create_tenant(
                PROVIDER,
                name=name,
                wrapped_key=self._new_key(PROVIDER),
                language=language,
                languages=(language,),
                now=now,
                entropy=self.entropy,
            )

    def _new_key(self, tenant: str) -> str:
        """A new tenant's wrapped key, JSON text."""
        if (wrapped := tenant_queries.any_tenant_key()) is not None:
            self.keyring.open_tenant_key(wrapped)
        return self.keyring.new_tenant_key(tenant, self.entropy).to_bytes().decode()

    def register(
        self,
        name: str,
        admin: NewAdmin,
        *,
        languages: Sequence[str],
        time_zone: str,
        country: str,
        now: datetime,
    ) -> UserRow:
        """Create a customer with its first admin, both or neither.  Raises as :meth:`create_customer` and
        :func:`recorder.identity.users.create_user` do, and :class:`CatalogueError`
        (``registration.closed``)."""
        self._check_open()
        with writing():
            row = self.create_customer(
                name,
                language=admin.language,
                languages=languages,
                time_zone=time_zone,
                country=country,
                now=now,
            )
            return users.create_user(
                row.id,
                login=admin.login,
                name=admin.name,
                role=ADMIN,
                language=admin.language,
                password_hash=admin.password_hash,
                now=now,
                entropy=self.entropy,
                signer=self.signer,
            )
