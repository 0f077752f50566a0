"""Codes with which guests listen by telephone: who has one, whom it leads to, and how often one can guess."""

from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from recorder.catalogue.database import writing
from recorder.catalogue.tables.dispute import DisputeGuestTable
from recorder.catalogue.tables.throttle import ThrottleTable
from recorder.features.disputes import dial_in
from recorder.features.disputes.dial_in import DialIn
from recorder.features.disputes.invitations import LIFETIME
from recorder.seal.keyring import Keyring, make_secret

NUMBER = "+3225550199"


@pytest.fixture
def service(scene) -> DialIn:
    return DialIn(NUMBER, scene.house.keyring, scene.house.trust)


def code_of(scene, service: DialIn, dispute) -> str | None:
    return service.code_of(scene.find(dispute), scene.guest(dispute), scene.house.clock())


def leads_to(scene, service: DialIn, code: str | None) -> str | None:
    found = service.find(code or "", scene.house.clock())
    return found and found[1].id


def test_a_code_has_nine_digits_leads_to_its_guest_and_is_in_no_row(scene, service) -> None:
    dispute = scene.open()
    issued = scene.invite(dispute)
    code = code_of(scene, service, dispute)
    assert code is not None
    assert (len(code), code.isdecimal()) == (9, True)
    assert leads_to(scene, service, code) == issued.guest
    assert code_of(scene, service, dispute) == code
    row = DisputeGuestTable.get_by_id(issued.guest)
    assert code not in str(row.__data__)
    assert scene.guest(dispute).number not in str(row.__data__)
    other = DialIn(NUMBER, Keyring(make_secret(bytes(32))), scene.house.trust)
    assert other.find(code, scene.house.clock()) is None, "the key decides, not the row"


def test_a_new_link_has_a_new_code(scene, service) -> None:
    dispute = scene.open()
    issued = scene.invite(dispute)
    old = code_of(scene, service, dispute)
    scene.invitations.renew_invitation(scene.claire, dispute.id, issued.guest, address=None)
    assert leads_to(scene, service, old) is None
    new = code_of(scene, service, dispute)
    assert new != old
    assert leads_to(scene, service, new) == issued.guest


@pytest.mark.parametrize("how", ["closed", "withdrawn", "expired"])
def test_a_code_ends_with_its_invitation(scene, service, how: str) -> None:
    dispute = scene.open()
    issued = scene.invite(dispute)
    code = code_of(scene, service, dispute)
    if how == "closed":
        scene.disputes.close(scene.claire, dispute.id)
    elif how == "withdrawn":
        scene.invitations.withdraw_invitation(scene.claire, dispute.id, issued.guest)
    else:
        scene.house.clock.forward(days=LIFETIME.days)
    assert leads_to(scene, service, code) is None
    assert code_of(scene, service, dispute) is None


def test_who_takes_part_keeps_their_code(scene, service) -> None:
    dispute, jan = scene.recognised()
    code = code_of(scene, service, dispute)
    scene.house.clock.forward(days=LIFETIME.days)
    assert leads_to(scene, service, code) == jan.id


def test_who_was_not_in_the_call_has_no_code(scene, service) -> None:
    dispute = scene.open()
    scene.invite(dispute)
    found, guest = scene.find(dispute), scene.guest(dispute)
    assert service.code_of(found, replace(guest, role="neutral"), scene.house.clock()) is None


def test_a_code_that_another_guest_has_is_passed_over(scene, service) -> None:
    dispute = scene.open()
    issued = scene.invite(dispute)
    first = code_of(scene, service, dispute)
    with writing():
        mac = DisputeGuestTable.get_by_id(issued.guest).dial_mac
        DisputeGuestTable.update(dial_mac=None).execute()
        DisputeGuestTable.insert(
            id="another", tenant_id="t", dispute_id="d", role="external_party", dial_mac=mac
        ).execute()
    second = code_of(scene, service, dispute)
    assert second != first
    assert leads_to(scene, service, second) == issued.guest
    assert leads_to(scene, service, first) is None


def test_a_row_that_leads_elsewhere_lets_nobody_in(scene, service) -> None:
    dispute = scene.open()
    scene.invite(dispute)
    code = code_of(scene, service, dispute)
    with writing():
        DisputeGuestTable.update(dial_turn=1).execute()
    assert leads_to(scene, service, code) is None


def test_codes_outlive_a_rotation_of_the_key_encryption_key(scene, service) -> None:
    dispute = scene.open()
    issued = scene.invite(dispute)
    code = code_of(scene, service, dispute)
    old = next(iter(scene.house.keyring._keks.values()))
    rotated = DialIn(NUMBER, Keyring(make_secret(bytes(32)), old), scene.house.trust)
    assert leads_to(scene, rotated, code) == issued.guest
    assert code_of(scene, rotated, dispute) == code


def wrong_until_refused(scene, service: DialIn, number: str | None) -> int:
    """How many wrong codes are looked up before the budgets are used up."""
    for count in range(200):
        with capture_logs() as logs:
            assert service.try_code("000000000", number, scene.house.clock()) is None
        if [each["event"] for each in logs] == ["dial_in.budget_used_up"]:
            return count
    raise AssertionError("no budget")


def test_wrong_codes_use_up_a_budget_that_lasts_and_right_ones_do_not(scene, service) -> None:
    dispute = scene.open()
    issued = scene.invite(dispute)
    code, clock = code_of(scene, service, dispute), scene.house.clock
    assert code is not None
    for _ in range(60):
        assert service.try_code(code, None, clock()) is not None
    assert dial_in.share_used(clock()) == 0
    assert wrong_until_refused(scene, service, "+32470000001") == dial_in.ALL_NUMBERS[1].attempts
    assert dial_in.share_used(clock()) > 1
    again = DialIn(NUMBER, scene.house.keyring, scene.house.trust)
    assert again.try_code(code, None, clock()) is None, "whoever guesses right after that does not learn it"
    invited = scene.guest(dispute).number
    found = again.try_code(code, invited, clock())
    assert found is not None
    assert found[1].id == issued.guest
    clock.forward(hours=1)
    assert again.try_code(code, None, clock()) is not None


def test_an_invited_number_has_a_budget_of_its_own_before_that_of_all(scene, service) -> None:
    dispute = scene.open()
    scene.invite(dispute)
    code, invited, now = code_of(scene, service, dispute), scene.guest(dispute).number, scene.house.clock()
    for _ in range(dial_in.INVITED_NUMBER.attempts):
        assert service.try_code("000000000", invited, now) is None
    assert dial_in.share_used(now) == 0
    assert service.try_code(str(code), invited, now) is not None, (
        "somebody who shows that number locks nobody out"
    )
    assert wrong_until_refused(scene, service, invited) == dial_in.ALL_NUMBERS[1].attempts
    assert service.try_code(str(code), invited, now) is None
    assert all(str(invited) not in row.key for row in ThrottleTable.select())
    scene.disputes.close(scene.claire, dispute.id)
    assert service.budgets_of(invited, now) == (dial_in.ALL_NUMBERS,)


def test_an_invitation_says_how_to_call(scene, service) -> None:
    sentence = service.sentence("123456789", "fr").replace("\u00a0", " ")
    assert sentence == "Ou par téléphone : composez le +32 2 555 01 99 et saisissez le code 123 456 789."
    assert service.sentence("123456789", "xx").startswith("Or by telephone: dial ")
