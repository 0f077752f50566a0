"""Customers by name, and counts of what they have. They are the provider's, so no query takes a tenant."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from peewee import fn

from recorder.catalogue.mappers import tenant_row
from recorder.catalogue.records import TenantRow
from recorder.catalogue.tables.identity import InvitationTable, SessionTable, UserTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.listed_call import ListedCallTable, ListedLineTable
from recorder.catalogue.tables.notification import NotificationTable
from recorder.catalogue.tables.offboarding import OffboardingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain import names, phone_numbers
from recorder.domain.roles import GUESTS, PROVIDER

EXACT_DIGITS = 4
"""The last digits of a number, which every spelling of it has."""


def customers_after(last: str, limit: int) -> list[TenantRow]:
    """Customers by name, then id: those after the customer ``last`` (empty, or of no customer: from the
    beginning)."""
    query = TenantTable.select().where(TenantTable.id != PROVIDER)
    before = TenantTable.get_or_none(TenantTable.id == last)
    if before is not None:
        is_later = TenantTable.name > before.name
        query = query.where(is_later | ((TenantTable.name == before.name) & (TenantTable.id > before.id)))
    return [tenant_row(row) for row in query.order_by(TenantTable.name, TenantTable.id).limit(limit)]


def customers_matching(text: str, limit: int) -> list[TenantRow]:
    """Customers with that id, a name that has the text, or a number in any spelling of their country, by
    name."""
    folded, by_number = names.fold(text), _owners_of(text)
    rows: Any = TenantTable.select(TenantTable.name, TenantTable.id).where(TenantTable.id != PROVIDER)
    found = sorted(
        (name, tenant)
        for name, tenant in rows.tuples()
        if tenant in by_number or tenant == text.strip() or (folded and folded in names.fold(name))
    )
    ids = [tenant for _, tenant in found[:limit]]
    query = TenantTable.select().where(TenantTable.id.in_(ids))
    return [tenant_row(row) for row in query.order_by(TenantTable.name, TenantTable.id)]


def _owners_of(text: str) -> set[str]:
    """Whose number it is now."""
    digits = phone_numbers.strip_punctuation(text).removeprefix("+")
    if not digits.isdigit():
        return set()
    same = LineTable.until.is_null() & LineTable.digits.endswith(digits[-EXACT_DIGITS:])
    columns = (LineTable.tenant, LineTable.digits, LineTable.number, TenantTable.country)
    rows: Any = LineTable.select(*columns).join(TenantTable).where(same)
    return {
        tenant
        for tenant, known, number, country in rows.tuples()
        if known == digits
        or phone_numbers.to_canonical(number, country) == phone_numbers.to_canonical(text, country)
    }


def last_calls(tenant: str) -> dict[str, datetime]:
    """When the last call of each line began, recorded or not, ended lines too; of calls without a line under
    an empty id."""
    calls, lines = ListedCallTable, ListedLineTable
    newest: Any = calls.select(fn.MAX(calls.started_ms)).where(calls.line == lines.id)
    rows: Any = lines.select(lines.line_id, newest).where(lines.tenant_id == tenant)
    found: dict[str, datetime] = {}
    for line, started_ms in rows.tuples():
        if started_ms is not None:
            at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(started_ms))
            found[line] = max(found.get(line, at), at)
    return found


def last_log_ins(users: Collection[str]) -> dict[str, datetime]:
    """When each of some users last logged in, as far as that session is still kept."""
    newest: Any = SessionTable.select(SessionTable.user, fn.MAX(SessionTable.created_at))
    rows = newest.where(SessionTable.user.in_([*users])).group_by(SessionTable.user)
    return dict(rows.tuples())


def open_invitations(tenant: str) -> list[InvitationTable]:
    """Invitations that were neither accepted nor withdrawn, oldest first; ``until`` may be over."""
    mine = (InvitationTable.tenant_id == tenant) & InvitationTable.ended_at.is_null()
    return list(InvitationTable.select().where(mine).order_by(InvitationTable.created_at))


def open_faults(tenant: str) -> list[NotificationTable]:
    """What the customer's admins are told now about numbers that are not recorded."""
    mine = (NotificationTable.tenant == tenant) & NotificationTable.ended_at.is_null()
    about_lines = (NotificationTable.kind == "not_recorded") & NotificationTable.line_id.is_null(False)
    return list(NotificationTable.select().where(mine & about_lines).order_by(NotificationTable.since))


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
