"""The operations of an import of customers: those of the panel and the command line, with what they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from recorder.catalogue import queries
from recorder.catalogue.records import TenantRow
from recorder.clock import Now
from recorder.domain import phone_numbers
from recorder.errors import CatalogueError
from recorder.features.customer_import.entries import CustomerValues
from recorder.features.customer_import.plan import AnnouncedSettings, CompleteSettings, PersonStep
from recorder.features.customer_import.service import InvitationLink
from recorder.features.team import access
from recorder.features.team.invitations import Invitations
from recorder.features.tenants import line_settings, service
from recorder.features.tenants.drafts import LineSettings
from recorder.features.tenants.line_proposals import PENDING
from recorder.features.tenants.lines import ActiveNumbers
from recorder.features.tenants.registration import Registration
from recorder.identity.tenants import CustomerNames
from recorder.ids import Entropy
from recorder.lifecycle import line_rules, plans
from recorder.prompts.sound_sources import Sources
from recorder.seal.amendment import By
from recorder.seal.keyring import Keyring

BY = By("operator")


def complete_with(sources: Sources) -> CompleteSettings:
    """Completes and checks what numbers announce, with the sound of ``sources``; equal settings once. Raises
    as :func:`recorder.features.tenants.line_settings.complete_settings`."""

    @cache
    def complete(
        country: str,
        there: str | None,
        plan: str,
        languages: tuple[str, ...],
        mode: str | None,
        purposes: tuple[str, ...] | None,
        keep_days: int | None,
    ) -> AnnouncedSettings:
        known = plans.plans()
        found = line_settings.complete_settings(
            line_rules.undecided_rules(country, there),
            known.get(plan) or known[plans.STARTER],
            languages=languages,
            mode=mode,
            purposes=purposes,
            keep_days=keep_days,
            sources=sources,
        )
        return AnnouncedSettings(found.languages, found.mode, found.purposes, found.keep_days)

    return lambda customer, number: complete(
        customer.country,
        phone_numbers.number_country(number.number, customer.country),
        customer.plan,
        number.languages or (customer.line_language,),
        number.mode,
        number.purposes,
        number.keep_days,
    )


def change_or_propose_line(
    tenant: TenantRow,
    line: str,
    settings: AnnouncedSettings,
    *,
    dry_run: bool = False,
    sources: Sources,
    now: datetime,
    entropy: Entropy,
) -> bool:
    """Whether a change of a line is proposed to the customer's admins, and not made; with ``dry_run``,
    whether it would be. Raises as :func:`line_settings.change_settings`, and ``line.unknown``."""
    row = queries.line(tenant.id, line)
    if row is None or row.until is not None:
        raise CatalogueError("line.unknown", "the number has ended meanwhile", "run the command again")
    outcome = line_settings.change_settings(
        row, _line_settings(settings), dry_run=dry_run, sources=sources, now=now, entropy=entropy
    )
    return outcome == PENDING


@dataclass(frozen=True, slots=True)
class OperatorOperations:
    """What an operator does for many customers at once. ``registration`` has ``names``; ``sources`` compose
    each prompt once; ``write`` passes links on, and is ``None`` where they are mailed."""

    registration: Registration
    names: CustomerNames
    numbers: ActiveNumbers
    invitations: Invitations
    sources: Sources
    write: Callable[[Sequence[InvitationLink]], None] | None
    now: Now
    entropy: Entropy

    @classmethod
    def of(
        cls,
        keyring: Keyring,
        invitations: Invitations,
        sources: Sources,
        write: Callable[[Sequence[InvitationLink]], None] | None,
    ) -> OperatorOperations:
        """The operations with the time and the randomness of ``invitations``."""
        names, now, entropy = CustomerNames(), invitations.now, invitations.entropy
        registration = Registration(keyring, sources=sources, entropy=entropy, known_names=names)
        return cls(registration, names, ActiveNumbers(), invitations, sources, write, now, entropy)

    def begin_batch(self) -> None:
        self.names.refresh()
        self.numbers.refresh()

    def create_customer(self, values: CustomerValues) -> TenantRow:
        return self.registration.create_customer(
            values.name,
            language=values.language,
            languages=values.languages,
            time_zone=values.time_zone,
            country=values.country,
            plan=values.plan,
            now=self.now(),
        )

    def change_customer(self, tenant: TenantRow, values: CustomerValues) -> None:
        now = self.now()
        if values.plan != tenant.plan:
            plans.change_plan(tenant.id, values.plan, now=now, entropy=self.entropy)
        if values.country != tenant.country:
            service.set_tenant_country(tenant.id, values.country, now=now, entropy=self.entropy)
        if values.language != tenant.language:
            service.set_tenant(
                tenant.id, name=tenant.name, language=values.language, now=now, entropy=self.entropy
            )

    def add_line(
        self, tenant: TenantRow, number: str, settings: AnnouncedSettings, label: str, recorded: bool
    ) -> str:
        return line_settings.add_line(
            tenant,
            number,
            _line_settings(settings),
            label=label,
            recorded=recorded,
            known_numbers=self.numbers,
            sources=self.sources,
            now=self.now(),
            entropy=self.entropy,
        )

    def change_line(self, tenant: TenantRow, line: str, settings: AnnouncedSettings) -> bool:
        return change_or_propose_line(
            tenant, line, settings, sources=self.sources, now=self.now(), entropy=self.entropy
        )

    def invite(self, tenant: TenantRow, person: PersonStep, lines: Sequence[str] | None) -> str | None:
        issued = self.invitations.invite(
            tenant.id,
            address=person.address,
            name=person.name,
            role=person.role,
            lines=lines,
            language=person.language,
            extensions=person.extensions or (),
            by=BY,
            mail=self.write is None,
        )
        return None if issued.mailed else issued.path

    def change_access(
        self,
        tenant: TenantRow,
        user: str,
        role: str,
        lines: Sequence[str] | None,
        extensions: Sequence[str] | None,
    ) -> None:
        access.change_access(
            tenant.id,
            user,
            role=role,
            lines=lines,
            downloads=None,
            extensions=extensions,
            signer=self.invitations.signer,
            trust=self.invitations.trust,
            by=BY,
            now=self.now(),
            entropy=self.entropy,
        )

    def write_links(self, links: Sequence[InvitationLink]) -> None:
        if self.write is not None:
            self.write(links)


def _line_settings(settings: AnnouncedSettings) -> LineSettings:
    return LineSettings(settings.languages, settings.mode, settings.purposes, settings.keep_days)
