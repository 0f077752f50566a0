"""Audits rows that carry a signed statement: users, second factors, permissions to download, codes for own
calls, invitations, API tokens, the provider's branding, live commands and disclosures. Each must agree with
its statement (:mod:`recorder.seal.credential`, ``second_factor``, ``download_permission``, ``own_call``,
``invitation``, ``branding``, ``command``, ``disclosure``), or it has no effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from recorder.audit.findings import AuditFinding
from recorder.audit.leaf_schema import rows_of
from recorder.catalogue.mappers import user_row
from recorder.catalogue.tables.branding import BrandingTable
from recorder.catalogue.tables.download_permission import DownloadPermissionTable
from recorder.catalogue.tables.identity import ApiTokenTable, InvitationTable, UserTable
from recorder.catalogue.tables.live_call import LiveCommandTable
from recorder.catalogue.tables.own_call import OwnCallTable
from recorder.catalogue.tables.second_factor import FactorResetTable, SecondFactorTable, SignInRuleTable
from recorder.catalogue.tables.subject_request import ReviewTable
from recorder.errors import SealError
from recorder.features.branding import service as branding
from recorder.features.live import queries, rules
from recorder.features.own_call import codes as own_calls
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
    """Check a tenant's users, second factors, permissions to download, codes for own calls, invitations, API
    tokens, branding, live commands and disclosures."""
    key_trust = trust.root, trust.revoked()
    checks: dict[Any, Callable[[Any], object]] = {
        ReviewTable: lambda row: reviews.check_disclosure(row, tenant, trust),
        UserTable: _unless_ended(lambda row: users.check_user(user_row(row), *key_trust)),
        SecondFactorTable: lambda row: factor_set.check(row, factor_set.changes(tenant, row.id), trust),
        SignInRuleTable: lambda row: sign_in_rule.check(row, sign_in_rule.changes(tenant), trust),
        DownloadPermissionTable: lambda row: download_permission.check(
            row, download_permission.changes(tenant, row.id), trust
        ),
        OwnCallTable: lambda row: own_calls.check(row, own_calls.changes(tenant, row.id), trust),
        BrandingTable: lambda row: branding.check(row, trust),
        FactorResetTable: lambda row: factor_reset.check_request(row, trust),
        InvitationTable: lambda row: check_invitation(row, trust),
        ApiTokenTable: _unless_ended(
            lambda row: api_tokens.check_token(api_tokens.token_row(row), *key_trust)
        ),
        LiveCommandTable: lambda row: rules.check_command(queries.command_row(row), *key_trust),
    }
    for model, check in checks.items():
        yield from _check(tenant, model, check)


def _unless_ended(check: Callable[[Any], object]) -> Callable[[Any], object]:
    """Checks a user or token that was not revoked; the credential of another one must be gone."""

    def check_row(row: Any) -> None:
        if row.revoked_at is None:
            check(row)
        elif row.credential is not None:
            raise SealError("credential.differs", "it was revoked, but still has a credential", hints.COMPARE)

    return check_row


def _check(tenant: str, model: Any, check: Callable[[Any], object]) -> Iterator[AuditFinding]:
    rows = model.select(model.id).where(rows_of(model, tenant)).order_by(model.id)
    for identity in [row.id for row in rows]:
        where = f"{tenant}: {model._meta.table_name} {identity}"
        try:
            check(model.get_by_id(identity))
        except SealError as error:
            yield AuditFinding("row.changed", where, error.message)
        except (ValueError, TypeError, AttributeError):
            yield AuditFinding("row.changed", where, "it contains a value that Accord never writes")
