"""Audits rows that carry a signed statement: users, second factors, permissions to download, invitations, API
tokens, the provider's branding, live commands and disclosures. Each must agree with its statement
(:mod:`recorder.seal.credential`, ``second_factor``, ``download_permission``, ``invitation``, ``branding``,
``command``, ``disclosure``), or it has no effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from recorder.audit.findings import AuditFinding
from recorder.catalogue.mappers import user_row
from recorder.catalogue.tables.branding import BrandingTable
from recorder.catalogue.tables.download_permission import DownloadPermissionTable
from recorder.catalogue.tables.identity import ApiTokenTable, InvitationTable, UserTable
from recorder.catalogue.tables.live_call import LiveCommandTable
from recorder.catalogue.tables.second_factor import FactorResetTable, SecondFactorTable, SignInRuleTable
from recorder.catalogue.tables.subject_request import ReviewTable, SubjectRequestTable
from recorder.errors import SealError
from recorder.features.branding import service as branding
from recorder.features.live import queries, rules
from recorder.features.subject_requests import reviews
from recorder.features.team.invitations import check_invitation
from recorder.identity import (
    api_tokens,
    download_permission,
    factor_reset,
    factor_set,
    sign_in_rule,
    users,
)
from recorder.seal import hints
from recorder.seal.revocation import Trust


def compare_credentials(tenant: str, trust: Trust) -> Iterator[AuditFinding]:
    """Check a tenant's users, second factors, permissions to download, invitations, API tokens, branding,
    live commands and disclosures."""
    key_trust = trust.root, trust.revoked()

    def check_user(row: UserTable) -> None:
        if not _has_ended(row):
            users.check_user(user_row(row), *key_trust)

    def check_factors(row: SecondFactorTable) -> None:
        factor_set.check(row, factor_set.changes(tenant, row.id), trust)

    def check_rule(row: SignInRuleTable) -> None:
        sign_in_rule.check(row, sign_in_rule.changes(tenant), trust)

    def check_download(row: DownloadPermissionTable) -> None:
        download_permission.check(row, download_permission.changes(tenant, row.id), trust)

    def check_branding(row: BrandingTable) -> None:
        branding.check(row, trust)

    def check_reset(row: FactorResetTable) -> None:
        factor_reset.check_request(row, trust)

    def check_token(row: ApiTokenTable) -> None:
        if not _has_ended(row):
            api_tokens.check_token(api_tokens.token_row(row), *key_trust)

    def check_given(row: ReviewTable) -> None:
        reviews.check_disclosure(row, tenant, trust)

    requests = SubjectRequestTable.select(SubjectRequestTable.id).where(
        SubjectRequestTable.tenant_id == tenant
    )
    yield from _check(tenant, ReviewTable, ReviewTable.request.in_(requests), check_given)
    yield from _check(tenant, UserTable, UserTable.tenant == tenant, check_user)
    yield from _check(tenant, SecondFactorTable, SecondFactorTable.tenant_id == tenant, check_factors)
    yield from _check(tenant, SignInRuleTable, SignInRuleTable.tenant_id == tenant, check_rule)
    yield from _check(
        tenant, DownloadPermissionTable, DownloadPermissionTable.tenant_id == tenant, check_download
    )
    yield from _check(tenant, BrandingTable, BrandingTable.tenant_id == tenant, check_branding)
    yield from _check(tenant, FactorResetTable, FactorResetTable.tenant_id == tenant, check_reset)
    yield from _check(
        tenant,
        InvitationTable,
        InvitationTable.tenant_id == tenant,
        lambda row: check_invitation(row, trust),
    )
    yield from _check(tenant, ApiTokenTable, ApiTokenTable.tenant_id == tenant, check_token)
    yield from _check(
        tenant,
        LiveCommandTable,
        LiveCommandTable.tenant_id == tenant,
        lambda row: rules.check_command(queries.command_row(row), *key_trust),
    )


def _has_ended(row: Any) -> bool:
    """Whether a user or token was revoked; its credential must then be gone, or ``SealError`` is raised."""
    if row.revoked_at is not None and row.credential is not None:
        raise SealError("credential.differs", "it was revoked, but still has a credential", hints.COMPARE)
    return row.revoked_at is not None


def _check(tenant: str, model: Any, mine: Any, check: Callable[[Any], None]) -> Iterator[AuditFinding]:
    for identity in [row.id for row in model.select(model.id).where(mine).order_by(model.id)]:
        where = f"{tenant}: {model._meta.table_name} {identity}"
        try:
            check(model.get_by_id(identity))
        except SealError as error:
            yield AuditFinding("row.changed", where, error.message)
        except (ValueError, TypeError, AttributeError):
            yield AuditFinding("row.changed", where, "it contains a value that Accord never writes")
