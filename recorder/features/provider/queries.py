"""Customers by name, and counts of what they have. They are the provider's, so no query takes a tenant."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from peewee import fn

from recorder.catalogue.mappers import tenant_row
from recorder.catalogue.records import TenantRow
from recorder.catalogue.tables.identity import InvitationTable, UserTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.offboarding import OffboardingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain.roles import GUESTS, PROVIDER


def customers_after(last: str, limit: int) -> list[TenantRow]:
    """Customers by name, then id: those after the customer ``last`` (empty, or of no customer: from the
    beginning)."""
    query = TenantTable.select().where(TenantTable.id != PROVIDER)
    before = TenantTable.get_or_none(TenantTable.id == last)
    if before is not None:
        is_later = TenantTable.name > before.name
        query = query.where(is_later | ((TenantTable.name == before.name) & (TenantTable.id > before.id)))
    return [tenant_row(row) for row in query.order_by(TenantTable.name, TenantTable.id).limit(limit)]


def count_lines(tenants: Collection[str]) -> dict[str, int]:
    """The number of lines in use, by tenant."""
    return _count(LineTable, LineTable.tenant, LineTable.until.is_null(), tenants)


def count_users(tenants: Collection[str]) -> dict[str, int]:
    """The number of people who have access, by tenant."""
    has_access = UserTable.revoked_at.is_null() & UserTable.role.not_in(GUESTS)
    return _count(UserTable, UserTable.tenant, has_access, tenants)


def count_invitations(tenants: Collection[str]) -> dict[str, int]:
    """The number of invitations that were neither accepted nor withdrawn, by tenant."""
    return _count(InvitationTable, InvitationTable.tenant_id, InvitationTable.ended_at.is_null(), tenants)


def count_current_customers() -> int:
    """The number of customers that have not left."""
    offboarded = OffboardingTable.select(OffboardingTable.tenant_id).where(
        OffboardingTable.offboarded_at.is_null(False)
    )
    query = TenantTable.select().where((TenantTable.id != PROVIDER) & TenantTable.id.not_in(offboarded))
    return int(query.count())


def count_current_lines() -> int:
    """The number of all customers' lines in use."""
    return int(LineTable.select().where(LineTable.until.is_null()).count())


def has_had_users(tenant: str) -> bool:
    """Whether anybody has, or ever had, access."""
    return bool(UserTable.select().where(UserTable.tenant == tenant).exists())


def first_invitation(tenant: str) -> tuple[str, str] | None:
    """The id and the name of who was invited first and has not accepted yet."""
    mine = (InvitationTable.tenant_id == tenant) & InvitationTable.ended_at.is_null()
    row = InvitationTable.select().where(mine).order_by(InvitationTable.created_at).first()
    return None if row is None else (row.id, row.name)


def _count(model: Any, owner: Any, condition: Any, tenants: Collection[str]) -> dict[str, int]:
    query = model.select(owner, fn.COUNT(model.id)).where(condition & owner.in_(tenants)).group_by(owner)
    return {tenant: int(count) for tenant, count in query.tuples()}
