"""A customer's rule that everybody confirms log-ins with a second factor.

It is signed as the factors are, and what the log says last counts. Where row and log disagree, the second
factor is required: a changed row can only ask for more.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, lock_tenant, sha256_of
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.second_factor import SignInRuleTable
from recorder.clock import truncate
from recorder.errors import SealError
from recorder.ids import Entropy
from recorder.seal.amendment import By
from recorder.seal.revocation import Trust, check_signer
from recorder.seal.second_factor import RULE, SignInRule
from recorder.seal.signing import Signer

RULE_CHANGED: Final = "tenant.sign_in_changed"
_DECIDE: Final = "set the rule again: `accord user require-second-factor`; `accord audit run` names such rows"


def requires_second_factor(tenant: str, trust: Trust) -> bool:
    """Whether everybody at a customer must have a second factor."""
    newest = newest_number(tenant)
    with connected():
        row = SignInRuleTable.get_or_none(SignInRuleTable.id == tenant)
    if row is None:
        return newest > 0
    try:
        check(row, newest, trust)
    except SealError:
        return True
    return RULE.read(row.statement.encode(), trust.root).value.second_factor


def check(row: SignInRuleTable, newest: int, trust: Trust) -> None:
    """Refuse a rule that is not signed, or not the ``newest`` in the log. Raises :class:`SealError`
    (``factors.superseded``, ``factors.differs``, ``seal.key_revoked``, and as :meth:`Kind.read`)."""
    signed = RULE.read(row.statement.encode(), trust.root)
    if (signed.value.tenant, signed.value.number) != (row.id, row.number):
        raise SealError(
            "factors.differs", f"the rule of tenant {row.id} differs from the signed one", _DECIDE
        )
    if row.number != newest:
        raise SealError(
            "factors.superseded", f"the rule of tenant {row.id} is not the newest in the log", _DECIDE
        )
    check_signer(signed.key_id, signed.at, f"the rule of tenant {row.id}", trust.revoked())


def require_second_factor(
    tenant: str, required: bool, by: By, *, signer: Signer, now: datetime, entropy: Entropy
) -> None:
    """Set the rule. Raises :class:`SealError` for a key that is not endorsed for it."""
    with writing():
        lock_tenant(tenant)
        number = newest_number(tenant) + 1
        rule = SignInRule(tenant, number, required)
        statement = RULE.write(rule, signer, truncate(now)).decode()
        columns = {"number": number, "statement": statement}
        SignInRuleTable.insert(id=tenant, tenant_id=tenant, **columns).on_conflict(
            conflict_target=[SignInRuleTable.id], update=columns
        ).execute()
        body = {"number": number, "second_factor": required, "by": by.kind, "actor": by.id or ""}
        body |= {"statement_sha256": sha256_of(statement)}
        append(tenant, RULE_CHANGED, body, now, entropy)


def newest_number(tenant: str) -> int:
    """The number of the newest rule in the log; 0 if there is none."""
    return max(
        (int(each.body["number"]) for each in leaf_lookup.find_sign_in(tenant, RULE_CHANGED)), default=0
    )
