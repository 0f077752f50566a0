"""A customer's rule that everybody confirms log-ins with a second factor.

It is signed as the factors are, and what the log says last counts. Where row and log disagree, the second
factor is required: a changed row can only ask for more.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import tenant_lock
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.auditlog.signed_setting import SignedSetting, newest_number
from recorder.catalogue.database import connected
from recorder.catalogue.tables.second_factor import SignInRuleTable
from recorder.errors import SealError
from recorder.ids import Entropy
from recorder.seal.amendment import By
from recorder.seal.revocation import Trust
from recorder.seal.second_factor import RULE, SignInRule
from recorder.seal.signing import Signer

RULE_CHANGED: Final = "tenant.sign_in_changed"

_SIGNED_SETTING: Final = SignedSetting(
    RULE, SignInRuleTable, RULE_CHANGED, lambda found: (found.tenant, found.tenant, found.number)
)


def requires_second_factor(tenant: str, trust: Trust) -> bool:
    """Whether everybody at a customer must have a second factor."""
    leaves = changes(tenant)
    with connected():
        row = SignInRuleTable.get_or_none(SignInRuleTable.id == tenant)
    if row is None:
        return bool(leaves)
    try:
        return check(row, leaves, trust).second_factor
    except SealError:
        return True


def check(row: SignInRuleTable, leaves: list[LoggedLeaf], trust: Trust) -> SignInRule:
    """The rule in a row, given all leaves about that customer's. Raises :class:`SealError` as
    :meth:`SignedSetting.check`."""
    return _SIGNED_SETTING.check(row, leaves, trust).value


def require_second_factor(
    tenant: str, required: bool, by: By, *, signer: Signer, now: datetime, entropy: Entropy
) -> None:
    """Set the rule. Raises :class:`SealError` for a key that is not endorsed for it."""
    with tenant_lock(tenant):
        rule = SignInRule(tenant, newest_number(changes(tenant)) + 1, required)
        _SIGNED_SETTING.save(rule, by, {"second_factor": required}, signer=signer, now=now, entropy=entropy)


def changes(tenant: str) -> list[LoggedLeaf]:
    """The leaves about a customer's rules, in order."""
    return leaf_lookup.find_sign_in(tenant, RULE_CHANGED)
