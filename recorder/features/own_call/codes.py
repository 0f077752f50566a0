"""Gives codes for people's own calls, withdraws them, and says which recording one opens.

A row leads to a code; what counts is the signed statement in it, and it alone if the log names it last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import structlog

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import tenant_lock
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.auditlog.signed_setting import SignedSetting, newest_number
from recorder.catalogue.database import connected
from recorder.catalogue.tables.own_call import OwnCallTable
from recorder.clock import truncate
from recorder.domain.parties import E164, Party
from recorder.domain.roles import ADMIN, CUSTOMER
from recorder.errors import OwnCallError, SealError
from recorder.features.own_call import rules
from recorder.features.own_call.code_mail import CodeMail
from recorder.features.own_call.tenant_rule import rule_of
from recorder.identity import users
from recorder.ids import Entropy, uuid7
from recorder.mail.outbox import drop_mail
from recorder.playback.interface import CallFacts
from recorder.seal.amendment import By
from recorder.seal.own_call import KIND, OwnCallCode
from recorder.seal.revocation import Trust
from recorder.seal.signing import Signer
from recorder.verification_calls.policy import CallPolicy
from recorder.verified_state import VerifiedState

GIVERS: Final = (ADMIN, CUSTOMER)
"""Roles that give codes, for calls that they see."""

GIVEN: Final = "own_call.code_given"
WITHDRAWN: Final = "own_call.code_withdrawn"

_CODE: Final = SignedSetting(
    KIND, OwnCallTable, GIVEN, lambda code: (code.tenant, code.recording, code.number)
)
_CODE_END: Final = SignedSetting(KIND, OwnCallTable, WITHDRAWN, _CODE.place_of)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ValidCode(VerifiedState):
    """A signed code that the log names last, that was not withdrawn and has not ended, of a customer whose
    people may open their calls."""

    code: OwnCallCode


def why_not(facts: CallFacts, policy: CallPolicy) -> str | None:
    """Why no code is given for a recording (an error id): its number cannot be called, or nothing of it may
    be heard any more."""
    phone = _phone(facts)
    if phone is None or not policy.allows_number(facts.status.row.tenant, phone):
        return "own_call.no_number"
    return None if facts.status.terms.active(facts.status.now) else "own_call.ended"


def _phone(facts: CallFacts) -> str | None:
    """The number that took part, as sealed."""
    party: Party | None = facts.parties.external_party
    return party.value if party is not None and party.kind == E164 else None


def give_code(
    facts: CallFacts, by: By, *, key: bytes, policy: CallPolicy, signer: Signer, now: datetime,
    entropy: Entropy, mail: CodeMail | None = None,
) -> str:  # fmt: skip
    """A new code for a recording that the gate has shown, which is told to its person; an earlier one ends.
    Only a MAC of it is kept; a ``mail`` has it, too. Raises :class:`OwnCallError`: ``own_call.off``, and as
    :func:`why_not` and :meth:`CodeMail.check`; :class:`SealError` for a key that is not endorsed for it."""
    row, phone = facts.status.row, _phone(facts)
    if (reason := why_not(facts, policy)) is not None or phone is None:
        raise OwnCallError(
            reason or "own_call.no_number",
            f"no code is given for recording {row.id}",
            "the call needs a number that is called, and a purpose that has not ended",
        )
    if mail is not None:
        mail.check()
    with tenant_lock(row.tenant):
        rule = rule_of(row.tenant)
        if not rule.on:
            raise OwnCallError(
                "own_call.off", "people do not open their calls here", "an admin switches it on"
            )
        code = rules.new_code(entropy)
        while _row_of(rules.code_mac(key, code)) is not None:
            code = rules.new_code(entropy)
        _end_guest(row.tenant, row.id, by, now, entropy)
        statement = OwnCallCode(
            row.tenant, row.id, newest_number(changes(row.tenant, row.id)) + 1, str(uuid7(now, entropy)),
            phone, rules.code_mac(key, code), truncate(now + timedelta(days=rule.days)), rule.names,
        )  # fmt: skip
        _save(_CODE, statement, by, signer, now, entropy, {} if mail is None else {"by_mail": True})
        if mail is not None:
            mail.queue(code, statement, now, entropy)
    log.info("own_call.code_given", recording=row.id, until=statement.until.isoformat())
    return code


def withdraw_code(
    tenant: str, recording: str, by: By, *, signer: Signer, trust: Trust, now: datetime, entropy: Entropy
) -> bool:
    """End the code of a recording, and with it what was opened by it; false if there is none. Raises
    :class:`SealError` for a key that is not endorsed for it."""
    with tenant_lock(tenant):
        code = newest_code(tenant, recording, trust)
        if code is None or code.code_mac is None:
            return False
        _end_guest(tenant, recording, by, now, entropy)
        ended = OwnCallCode(
            tenant, recording, code.number + 1, code.guest, code.phone, None, code.until, code.names
        )
        _save(_CODE_END, ended, by, signer, now, entropy)
    log.info("own_call.code_withdrawn", recording=recording)
    return True


def _save(
    signed: SignedSetting[OwnCallCode], code: OwnCallCode, by: By, signer: Signer, now: datetime,
    entropy: Entropy, more: Mapping[str, object] = MappingProxyType({}),
) -> None:  # fmt: skip
    columns = {"guest_id": code.guest, "code_mac": code.code_mac or ""}
    body = {"recording": code.recording, "guest": code.guest, "code_mac": columns["code_mac"], **more}
    signed.save(code, by, body, signer=signer, now=now, entropy=entropy, **columns)


def _end_guest(tenant: str, recording: str, by: By, now: datetime, entropy: Entropy) -> None:
    """End the access of whoever opened a recording before, and a mail to them that waits; an id suffices, as
    this only takes away."""
    row = OwnCallTable.get_or_none((OwnCallTable.id == recording) & (OwnCallTable.tenant_id == tenant))
    if row is not None:
        drop_mail(tenant, row.guest_id)
        users.revoke_user(tenant, row.guest_id, now=now, entropy=entropy, by=by)


def newest_code(tenant: str, recording: str, trust: Trust) -> OwnCallCode | None:
    """The newest code of a recording, withdrawn and ended ones too; ``None`` if there is none that is as it
    was signed and logged, which the operator learns."""
    with connected():
        row = OwnCallTable.get_or_none((OwnCallTable.id == recording) & (OwnCallTable.tenant_id == tenant))
    return None if row is None else _code_in(row, trust)


def find_valid(tenant: str, recording: str, trust: Trust, now: datetime) -> ValidCode | None:
    """The code that opens a recording now, if any."""
    return _if_valid(newest_code(tenant, recording, trust), now)


def find_by_mac(mac: str, trust: Trust, now: datetime) -> ValidCode | None:
    """The code that somebody typed, by its MAC, if it opens a recording now."""
    row = _row_of(mac)
    return None if row is None else _if_valid(_code_in(row, trust), now, mac)


def mac_of(keys: Sequence[bytes], code: str) -> str:
    """The MAC of a code that somebody typed: under the key with which it was given, if it was."""
    macs = [rules.code_mac(each, code) for each in keys]
    return next((each for each in macs if _row_of(each) is not None), macs[0])


def find_of_guest(tenant: str, guest: str) -> str | None:
    """The recording that a row says a guest may open: only a lead."""
    with connected():
        row = OwnCallTable.get_or_none((OwnCallTable.guest_id == guest) & (OwnCallTable.tenant_id == tenant))
    return None if row is None else str(row.id)


def _row_of(mac: str) -> OwnCallTable | None:
    with connected():
        return OwnCallTable.get_or_none(OwnCallTable.code_mac == mac)


def _if_valid(code: OwnCallCode | None, now: datetime, mac: str | None = None) -> ValidCode | None:
    if code is None or code.code_mac is None or mac not in (None, code.code_mac) or now >= code.until:
        return None
    return ValidCode(code) if rule_of(code.tenant).on else None


def _code_in(row: OwnCallTable, trust: Trust) -> OwnCallCode | None:
    try:
        return check(row, changes(row.tenant_id, row.id), trust)
    except SealError as error:
        log.error(
            "own_call.code_refused",
            recording=row.id,
            error_id=error.error_id,
            error=error.message,
            hint=error.hint,
        )
        return None


def check(row: OwnCallTable, leaves: list[LoggedLeaf], trust: Trust) -> OwnCallCode:
    """The code in a row, given all leaves about that recording's. Raises :class:`SealError` as
    :meth:`SignedSetting.check`."""
    return _CODE.check(row, leaves, trust).value


def changes(tenant: str, recording: str) -> list[LoggedLeaf]:
    """The leaves about a recording's codes, in order."""
    return leaf_lookup.leaves_about(tenant, [recording], (GIVEN, WITHDRAWN))
