"""Codes with which people listen by telephone: who has one, whom it leads to, and how often one can guess."""

from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.dispute import RoomCodeTable
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.outgoing_mail import OutgoingMailTable
from recorder.catalogue.tables.throttle import ThrottleTable
from recorder.domain.roles import PROVIDER
from recorder.errors import DisputeError
from recorder.features.disputes import dial_in
from recorder.features.disputes.dial_in import ENTRY_LASTS, DialIn, grouped
from recorder.features.disputes.invitations import DIAL_CODE_MAIL, LIFETIME, MAIL, REMINDER_MAIL
from recorder.features.tenants.registration import Registration
from recorder.identity import users
from recorder.mail.outbox import Outbox, open_mail
from recorder.seal.amendment import By
from recorder.seal.dispute_kinds import ACCEPTED
from recorder.seal.keyring import Keyring, make_secret

NUMBER = "+3225550199"


@pytest.fixture
def service(scene) -> DialIn:
    return DialIn(NUMBER, scene.house.keyring, scene.house.trust)


def code_of(scene, service: DialIn, dispute) -> str | None:
    return service.code_of(scene.find(dispute), scene.guest(dispute).id, scene.house.clock())


def leads_to(scene, service: DialIn, code: str | None) -> str | None:
    found = service.find(code or "", scene.house.clock())
    return found and found.id


def test_a_code_has_nine_digits_leads_to_its_guest_and_is_in_no_row(scene, service) -> None:
    dispute = scene.open()
    issued = scene.invite(dispute)
    code = code_of(scene, service, dispute)
    assert code is not None
    assert (len(code), code.isdecimal()) == (9, True)
    assert leads_to(scene, service, code) == issued.guest
    assert code_of(scene, service, dispute) == code
    row = RoomCodeTable.get()
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


def test_a_renewed_code_replaces_the_old_one_at_once_and_leaves_the_link(scene, service) -> None:
    dispute = scene.open()
    issued = scene.invite(dispute)
    old = code_of(scene, service, dispute)
    invitations = replace(scene.invitations, dial_in=service)
    first = invitations.renew_dial_code(scene.claire, dispute.id, issued.guest).code
    assert leads_to(scene, service, old) is None
    second = invitations.renew_dial_code(scene.claire, dispute.id, issued.guest).code
    assert len({old, first, second}) == 3
    assert leads_to(scene, service, first) is None
    assert leads_to(scene, service, second) == issued.guest
    assert code_of(scene, service, dispute) == second
    assert scene.invitations.open_link(issued.path.rpartition("/")[2]).guest.id == issued.guest
    scene.disputes.close(scene.claire, dispute.id)
    with pytest.raises(DisputeError):
        invitations.renew_dial_code(scene.claire, dispute.id, issued.guest)


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


@pytest.mark.parametrize("login", ["claire", "paul"])
def test_who_handles_the_call_has_a_code_that_ends_with_their_password_and_the_dispute(
    scene, service, login: str
) -> None:
    dispute, person, clock = scene.open(), scene.customer.people[login], scene.house.clock
    code = service.code_of(dispute, person.id, clock())
    assert leads_to(scene, service, code) == person.id
    signing = {"now": clock(), "entropy": scene.house.entropy, "signer": scene.house.services.signer}
    users.set_password(person.tenant, person.id, "$argon2id$other", **signing)
    assert leads_to(scene, service, code) is None
    new = service.code_of(dispute, person.id, clock())
    assert new != code
    scene.disputes.close(scene.claire, dispute.id)
    assert leads_to(scene, service, new) is None


def test_whoever_does_not_hear_the_call_has_no_code(scene, service) -> None:
    dispute, now = scene.open(), scene.house.clock()
    other = scene.house.person(scene.customer, "marc", "Marc Martin")
    for person in (scene.customer.people["audit"].id, other.id, "nobody"):
        assert service.code_of(dispute, person, now) is None


def test_a_code_ends_with_the_access_of_its_user(scene, service) -> None:
    dispute, clock, entropy = scene.open(), scene.house.clock, scene.house.entropy
    code = service.code_of(dispute, scene.claire.id, clock())
    users.revoke_user(scene.claire.tenant, scene.claire.id, now=clock(), entropy=entropy, by=By("operator"))
    assert leads_to(scene, service, code) is None


def test_a_user_whose_row_is_not_as_it_was_signed_is_not_let_in(scene, service) -> None:
    dispute = scene.open()
    code = service.code_of(dispute, scene.claire.id, scene.house.clock())
    with writing():
        UserTable.update(role="customer_admin").where(UserTable.id == scene.claire.id).execute()
    with capture_logs() as logs:
        assert leads_to(scene, service, code) is None
    assert [each["event"] for each in logs] == ["dial_in.refused"]


def test_a_helper_has_a_code_once_both_sides_let_them_hear_a_passage(scene, service) -> None:
    dispute, jan = scene.recognised()
    clock = scene.house.clock
    scene.agreements.mark_passage(scene.claire, dispute.id, scene.call, 1000, 2000, "The price")
    passages = [each.id for each in scene.find(dispute).passages]
    issued = scene.invitations.invite_neutral(
        scene.claire, dispute.id, passages, name="Ann", language="fr", address=None
    )
    ann = scene.accept(issued)
    assert service.code_of(scene.find(dispute), ann.id, clock()) is None
    scene.invitations.agree_to_guest(jan, dispute.id, ann.id, ACCEPTED, passages=passages)
    code = service.code_of(scene.find(dispute), ann.id, clock())
    assert leads_to(scene, service, code) == ann.id
    scene.invitations.withdraw_invitation(scene.claire, dispute.id, ann.id)
    assert leads_to(scene, service, code) is None


def test_supports_code_lasts_from_each_time_that_it_says_why_it_comes_in(scene, service) -> None:
    dispute, jan = scene.recognised()
    house, clock = scene.house, scene.house.clock
    scene.agreements.mark_passage(scene.claire, dispute.id, scene.call, 1000, 2000, "The price")
    passages = [each.id for each in scene.find(dispute).passages]
    scene.invitations.call_support(scene.claire, dispute.id, passages, name="Support")
    guest = scene.find(dispute).guests[-1].id
    scene.invitations.agree_to_guest(jan, dispute.id, guest, ACCEPTED, passages=passages)
    Registration(house.keyring).open_provider("Telvoip", "en", clock())
    ingrid = house.user(PROVIDER, "ingrid", "support")
    assert service.code_of(scene.find(dispute), ingrid.id, clock()) is None
    scene.invitations.enter(ingrid, dispute.tenant, dispute.id, guest, "They asked us to")
    code = service.code_of(scene.find(dispute), ingrid.id, clock())
    assert leads_to(scene, service, code) == ingrid.id
    clock.forward(seconds=ENTRY_LASTS.total_seconds())
    assert leads_to(scene, service, code) is None
    scene.invitations.enter(ingrid, dispute.tenant, dispute.id, guest, "They asked us again")
    assert leads_to(scene, service, code) is None
    again = service.code_of(scene.find(dispute), ingrid.id, clock())
    assert leads_to(scene, service, again) == ingrid.id


def test_a_code_that_another_guest_has_is_passed_over(scene, service) -> None:
    dispute = scene.open()
    issued = scene.invite(dispute)
    first = code_of(scene, service, dispute)
    with writing():
        mac = RoomCodeTable.get().code_mac
        RoomCodeTable.delete().execute()
        RoomCodeTable.insert(
            id="another", tenant_id="t", dispute_id="d", user_id="another", code_mac=mac
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
        RoomCodeTable.update(turn=1).execute()
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
    assert found.id == issued.guest
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


def test_fewer_digits_than_a_code_has_are_no_attempt_and_may_be_right_elsewhere(scene, service) -> None:
    now, digits = scene.house.clock(), []
    for keys in ("", "12345678", "246802"):
        assert service.try_code(keys, None, now, lambda typed: bool(digits.append(typed))) is None
    assert digits == ["", "12345678", "246802"]
    assert dial_in.share_used(now) == 0
    service.try_code("123456789", None, now)
    assert dial_in.share_used(now) > 0


def test_an_invitation_says_how_to_call(scene, service) -> None:
    sentence = service.sentence("123456789", "fr").replace("\u00a0", " ")
    assert sentence == "Ou par téléphone : composez le +32 2 555 01 99 et saisissez le code 123 456 789."
    assert service.sentence("123456789", "xx").startswith("Or by telephone: dial ")


def test_a_renewed_code_is_mailed_to_who_was_invited_by_mail_and_no_reminder_names_the_old_one(
    scene, service
) -> None:
    scene.outbox = Outbox(scene.house.keyring, "https://accord.example.com")
    invitations = replace(scene.invitations, dial_in=service)
    dispute = scene.open()
    issued = invitations.invite(
        scene.claire, dispute.id, name="Jan", language="nl", address="jan@example.com"
    )
    assert {kind for kind, _text in mails(scene)} == {MAIL, REMINDER_MAIL}
    first = invitations.renew_dial_code(scene.claire, dispute.id, issued.guest)
    second = invitations.renew_dial_code(scene.claire, dispute.id, issued.guest)
    assert (first.mailed, second.mailed) == (True, True)
    texts = dict(mails(scene))
    assert texts.keys() == {MAIL, DIAL_CODE_MAIL}, "one mail, with the newest code"
    assert " ".join(grouped(second.code).split()) in texts[DIAL_CODE_MAIL]
    assert "+32 2 555 01 99" in texts[DIAL_CODE_MAIL]
    assert issued.path in texts[MAIL], "the link still works"


def test_a_renewed_code_is_told_by_who_passed_the_link_on(scene, service) -> None:
    scene.outbox = Outbox(scene.house.keyring, "https://accord.example.com")
    dispute = scene.open()
    issued = scene.invite(dispute)
    renewed = replace(scene.invitations, dial_in=service).renew_dial_code(
        scene.claire, dispute.id, issued.guest
    )
    assert not renewed.mailed
    assert not list(mails(scene))


def mails(scene) -> list[tuple[str, str]]:
    """What waits to be sent, by kind."""
    with connected():
        rows = list(OutgoingMailTable.select())
    return [(row.kind, open_mail(row, scene.house.keyring).content.text) for row in rows]
