"""Credentials, commands, disclosures, records of erased calls and retention limits: what is signed must agree
with what is used."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from recorder.domain.roles import PROVIDER
from recorder.errors import SealError
from recorder.seal import (
    call_erasure,
    command,
    credential,
    disclosure,
    invitation,
    retention_limit,
    signed_document,
)
from recorder.seal.amendment import SYSTEM, By
from recorder.seal.call_erasure import AT_ONCE, ErasedCalls
from recorder.seal.command import SignedCommand
from recorder.seal.credential import TOKEN, USER, Credential
from recorder.seal.disclosure import Disclosure
from recorder.seal.download_permission import KIND, DownloadPermission
from recorder.seal.invitation import Invitation
from recorder.seal.retention_limit import LimitLifted, LimitSet
from recorder.seal.revocation import Trust
from recorder.store.contract import NotFound
from tests.expected_errors import error_of, expect_error

from .recording import NOW, RECORDING, TENANT, Keys, Store

ID = "0198c0de-0000-7000-8000-0000000000cc"
OTHER = "0198c0de-0000-7000-8000-00000000000b"
SECOND = timedelta(seconds=1)


PERSON = Credential(TENANT, USER, ID, "customer", "0" * 64, NOW)
PROGRAM = Credential(TENANT, TOKEN, ID, None, "0" * 64, NOW)


@pytest.mark.parametrize("expected", [PERSON, PROGRAM])
def test_row_that_agrees_with_its_credential_is_accepted(keys: Keys, expected: Credential) -> None:
    root, signed = keys.root.public_key(), credential.write(expected, keys.signer)
    assert credential.read(signed, root) == (expected, keys.signer.key_id)
    credential.check(signed, expected, root, {})
    credential.check(signed, replace(expected, at=NOW + SECOND), root, {})
    credential.check(signed, expected, root, {"another": NOW})
    credential.check(signed, expected, root, {keys.signer.key_id: NOW + SECOND})
    for since in (NOW, NOW - SECOND):
        revoked = {keys.signer.key_id: since}
        assert error_of(partial(credential.check, signed, expected, root, revoked)) == "seal.key_revoked"


@pytest.mark.parametrize(
    ("changed", "subject"),
    [
        ({"tenant": OTHER}, "tenant"),
        ({"kind": TOKEN, "role": None}, "kind, role"),
        ({"id": OTHER}, "id"),
        ({"role": "customer_admin"}, "role"),
        ({"secret_sha256": "1" * 64}, "secret_sha256"),
    ],
)
def test_changed_row_is_refused(keys: Keys, changed: dict[str, str | None], subject: str) -> None:
    signed = credential.write(PERSON, keys.signer)
    with expect_error(SealError, "credential.differs") as failure:
        credential.check(signed, replace(PERSON, **changed), keys.root.public_key(), {})  # type: ignore[arg-type]
    assert failure.value.message.startswith(f"{subject} of ")
    assert failure.value.hint


def test_row_without_a_credential_is_refused(keys: Keys) -> None:
    assert (
        error_of(lambda: credential.check(None, PERSON, keys.root.public_key(), {})) == "credential.missing"
    )


@pytest.mark.parametrize("wrong", [replace(PERSON, role=None), replace(PROGRAM, role="customer")])
def test_only_a_user_has_a_role(keys: Keys, wrong: Credential) -> None:
    assert error_of(lambda: credential.write(wrong, keys.signer)) == "seal.field"


OPERATOR = replace(PERSON, tenant=PROVIDER, role="operator")
INVITATION = Invitation(
    PROVIDER, ID, "olga@telvoip.example", "Olga", "operator", "en", "0" * 64, NOW, NOW + SECOND, "operator",
    None,
)  # fmt: skip


def test_each_side_has_its_own_roles(keys: Keys) -> None:
    root = keys.root.public_key()
    for role in ("operator", "support"):
        expected = replace(OPERATOR, role=role)
        assert credential.read(credential.write(expected, keys.signer), root)[0] == expected
    assert invitation.read(invitation.write(INVITATION, keys.signer), Trust(root)) == INVITATION
    for wrong in (
        replace(OPERATOR, tenant=TENANT),
        replace(OPERATOR, role="customer_admin"),
        replace(PROGRAM, tenant=PROVIDER),
    ):
        assert error_of(partial(credential.write, wrong, keys.signer)) == "seal.field"
    for wrong_invitation in (replace(INVITATION, tenant=TENANT), replace(INVITATION, role="customer")):
        assert error_of(partial(invitation.write, wrong_invitation, keys.signer)) == "seal.field"


def test_only_a_colleague_is_invited_to_some_lines(keys: Keys) -> None:
    trust = Trust(keys.root.public_key())
    theirs = replace(INVITATION, tenant=TENANT, role="customer", lines=("a line",))
    assert invitation.read(invitation.write(theirs, keys.signer), trust) == theirs
    for role in ("customer_admin", "auditor"):
        assert error_of(partial(invitation.write, replace(theirs, role=role), keys.signer)) == "seal.field"
        everything = replace(theirs, role=role, lines=None)
        assert invitation.read(invitation.write(everything, keys.signer), trust) == everything


ORDER = SignedCommand(TENANT, ID, RECORDING, "pause", "panel", ID, NOW + SECOND)


def test_command_must_be_signed_as_it_stands(keys: Keys) -> None:
    root, signed = keys.root.public_key(), command.write(ORDER, keys.signer, NOW)
    command.check(signed, ORDER, root, {})
    assert json.loads(signed)["body"]["at"] == "2026-11-25T09:35:00.123Z"
    assert error_of(lambda: command.check(None, ORDER, root, {})) == "command.missing"
    for changed in ({"action": "delete"}, {"call": ID}, {"tenant": OTHER}, {"until": NOW}, {"actor": OTHER}):
        other = replace(ORDER, **changed)  # type: ignore[arg-type]
        assert error_of(lambda other=other: command.check(signed, other, root, {})) == "command.differs"  # type: ignore[misc]
    command.check(signed, ORDER, root, {keys.signer.key_id: NOW + SECOND, "another": NOW})
    revoked = {keys.signer.key_id: NOW}
    assert error_of(lambda: command.check(signed, ORDER, root, revoked)) == "seal.key_revoked"


DISCLOSURE = Disclosure(TENANT, ID, RECORDING, "own", ID)


def test_disclosure_must_be_signed_as_it_stands(keys: Keys) -> None:
    root, signed = keys.root.public_key(), disclosure.write(DISCLOSURE, keys.signer, NOW)
    disclosure.check(signed, DISCLOSURE, Trust(root))
    assert error_of(lambda: disclosure.check(None, DISCLOSURE, Trust(root))) == "disclosure.missing"
    both = replace(DISCLOSURE, given="both")
    assert error_of(lambda: disclosure.check(signed, both, Trust(root))) == "disclosure.differs"
    for since, accepted in ((NOW + SECOND, True), (NOW, False)):
        trust = Trust(root, lambda since=since: {keys.signer.key_id: since})  # type: ignore[misc]
        if accepted:
            disclosure.check(signed, DISCLOSURE, trust)
        else:
            with pytest.raises(SealError) as failure:
                disclosure.check(signed, DISCLOSURE, trust)
            assert (failure.value.error_id, bool(failure.value.hint)) == ("seal.key_revoked", True)


def put_record(store: Store, keys: Keys, calls: list[str]) -> None:
    call_erasure.put(store, ID, TENANT, ID, calls, NOW, keys.signer, keys.root.public_key())


def test_record_of_erased_calls_is_sorted_and_found_by_its_ids(keys: Keys) -> None:
    store, root = Store({}), keys.root.public_key()
    put_record(store, keys, [ID, RECORDING])
    (place,) = store.objects
    assert place == call_erasure.place_of(TENANT, ID) == f"call-erasures/{TENANT}/{ID}.json"
    assert call_erasure.ids_in(place) == (TENANT, ID)
    assert call_erasure.ids_in(place + "x") is None
    found = call_erasure.note_at(store, TENANT, ID, root, {"another": NOW})
    assert (found.tenant, found.request, found.at, found.key) == (TENANT, ID, NOW, keys.signer.key_id)
    assert found.calls == (RECORDING, ID)
    with pytest.raises(NotFound):
        call_erasure.note_at(store, TENANT, OTHER, root, {})
    revoked = {keys.signer.key_id: NOW + SECOND}
    assert error_of(lambda: call_erasure.note_at(store, TENANT, ID, root, revoked)) == "seal.key_revoked"
    store.objects[call_erasure.place_of(OTHER, ID)] = store.objects[place]
    assert error_of(lambda: call_erasure.note_at(store, OTHER, ID, root, {})) == "call_erasure.foreign"


def test_record_has_between_one_and_the_maximum_of_calls(keys: Keys) -> None:
    def sign(*calls: str) -> bytes:
        return call_erasure.NOTE.write(ErasedCalls(TENANT, ID, NOW, calls), keys.signer)

    many = [f"{number:05}" for number in range(AT_ONCE + 1)]
    call_erasure.read(sign(*many[:-1]), keys.root.public_key())
    for wrong in (many, [], ["1", "1"], ["2", "1"]):
        assert error_of(lambda wrong=wrong: sign(*wrong)) == "seal.contradiction"  # type: ignore[misc]


BY = By("user", ID)
LIMIT = LimitSet(TENANT, ID, "quality", None, 30, NOW, True, BY)
LIFTED = LimitLifted(TENANT, ID, "0" * 64, NOW + SECOND, By("operator"))


def test_retention_limit_and_its_lifting_are_read_as_signed(keys: Keys) -> None:
    root = keys.root.public_key()
    content = retention_limit.write(LIMIT, keys.signer)
    assert retention_limit.open_set(content, root) == (LIMIT, keys.signer.key_id)
    lift = replace(LIFTED, set_sha256=retention_limit.sha256_of(content))
    lifted = retention_limit.write(lift, keys.signer)
    assert retention_limit.open_lifted(lifted, root) == (lift, keys.signer.key_id)
    assert (LIMIT.signed_at, lift.signed_at) == (NOW, NOW + SECOND)
    assert error_of(lambda: retention_limit.open_set(lifted, root)) == "seal.field"
    assert error_of(lambda: retention_limit.open_lifted(content, root)) == "seal.field"


@pytest.mark.parametrize("by", [SYSTEM, By("user"), By("operator", ID)])
@pytest.mark.parametrize("statement", [LIMIT, LIFTED])
def test_retention_limit_is_set_by_a_user_or_the_operator(
    keys: Keys, statement: LimitSet | LimitLifted, by: By
) -> None:
    wrong = replace(statement, by=by)
    assert error_of(lambda: retention_limit.write(wrong, keys.signer)) == "seal.field"


@pytest.mark.parametrize("lifted", [False, True])
def test_place_of_a_retention_limit_names_it(lifted: bool) -> None:
    place = retention_limit.place_of(TENANT, ID, lifted=lifted)
    assert place == f"retention/{TENANT}/{ID}{'-lifted' if lifted else ''}.json"
    assert retention_limit.parse_place(place) == (TENANT, ID, lifted)
    assert retention_limit.parse_place(f"{place}.tmp") is None
    assert retention_limit.parse_place(f"retention/{TENANT}/note.json") is None


@pytest.mark.parametrize("at", [NOW - timedelta(days=2), NOW + timedelta(days=800)])
def test_key_signs_only_within_its_endorsement(keys: Keys, at: datetime) -> None:
    assert error_of(lambda: command.write(ORDER, keys.signer, at)) == "seal.endorsement_time"


@pytest.mark.parametrize("software", [1, None, ["accord"]])
def test_document_names_the_software_that_wrote_it(keys: Keys, software: object) -> None:
    permission, root = DownloadPermission(TENANT, ID, 1, True), keys.root.public_key()
    body = KIND.body(permission, NOW)
    assert KIND.read(signed_document.write(body, keys.signer), root).value == permission
    other = signed_document.write(body | {"software": software}, keys.signer)
    assert error_of(lambda: KIND.read(other, root)) == "seal.field"
    nameless = {name: value for name, value in body.items() if name != "software"}
    assert error_of(lambda: KIND.read(signed_document.write(nameless, keys.signer), root)) == "seal.field"


def test_document_may_be_dated_as_far_ahead_as_clocks_differ() -> None:
    signed_document.check_not_future("x", NOW + signed_document.CLOCK_SLACK, NOW)
    late = NOW + signed_document.CLOCK_SLACK + timedelta(milliseconds=1)
    assert error_of(lambda: signed_document.check_not_future("x", late, NOW)) == "seal.from_the_future"
    signed_document.check_not_future("x", late, None)
