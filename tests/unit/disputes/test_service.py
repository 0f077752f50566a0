"""The steps of a dispute, by the service, with a real catalogue, bucket and gate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from recorder.audit.disputes import compare_disputes
from recorder.catalogue import queries as catalogue
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.dispute import (
    DisputeGuestTable,
    DisputeRecordingTable,
    DisputeStatementTable,
    DisputeTable,
)
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.outgoing_mail import OutgoingMailTable
from recorder.catalogue.tables.verification_call import VerificationCallTable
from recorder.domain.parties import Party
from recorder.domain.roles import EXTERNAL_PARTY
from recorder.errors import AccessError, AccordError, AuditLogError, CatalogueError, SealError
from recorder.features.disputes import queries
from recorder.features.disputes.guest_calls import latest_call, latest_call_to_room
from recorder.features.disputes.invitations import IssuedGuestLink
from recorder.features.disputes.queries import dispute_ids, disputes_about
from recorder.identity import users
from recorder.mail.outbox import Outbox, open_mail
from recorder.seal.amendment import By
from recorder.seal.dispute_kinds import ACCEPTED, DECLINED, SETTLED
from recorder.verification_calls import register
from recorder.verification_calls.policy import CallPolicy
from tests.expected_errors import expect_error

from .conftest import NOTICE, token_of


@contextmanager
def refused(error_id: str) -> Iterator[None]:
    with expect_error(AccordError, error_id):
        yield


# --- opening


def test_opening_keeps_the_recording_for_it(scene) -> None:
    dispute = scene.open()
    status = scene.house.changes.look(scene.customer.id, scene.call)
    (hold,) = status.terms.holds
    assert (hold.number, hold.data.owner, hold.data.roles) == (
        dispute.recordings[0].hold, scene.claire.id, ("customer_admin", EXTERNAL_PARTY, "support", "neutral")
    )  # fmt: skip
    assert hold.data.purposes == dispute.purposes == ("agreement",)
    assert disputes_about(scene.customer.id, scene.call) == (dispute.id,)
    assert dispute_ids(scene.customer.id) == (dispute.id,)
    scene.house.clock.forward(days=400)
    assert not scene.house.changes.look(scene.customer.id, scene.call).terms.due(scene.house.clock())


def test_auditors_and_colleagues_of_other_numbers_open_none(scene, house) -> None:
    day = (house.clock() + timedelta(days=1)).date()
    other = house.add_line(scene.customer.id, "+3225550109", scene.customer.announcement.id)
    elsewhere = house.user(scene.customer.id, "luc", lines=[other.id])
    for person in (scene.customer.people["audit"], elsewhere):
        with refused("dispute.may_not"):
            scene.disputes.open(person, [scene.call], subject="The price", settle_by=day)
    assert not house.changes.look(scene.customer.id, scene.call).terms.holds
    assert not dispute_ids(scene.customer.id)


def test_an_unannounced_call_is_not_for_listening_together(scene, house) -> None:
    call = house.call(scene.customer, announced=False)
    with refused("dispute.not_announced"):
        scene.disputes.open(
            scene.claire, [call], subject="The price", settle_by=house.clock().date() + timedelta(days=1)
        )


@pytest.mark.parametrize("days", [-1, 181])
def test_the_day_is_soon(scene, days: int) -> None:
    day = scene.house.clock().date() + timedelta(days=days)
    with refused("dispute.day"):
        scene.disputes.open(scene.claire, [scene.call], subject="The price", settle_by=day)
    dispute = scene.open()
    with refused("dispute.day"):
        scene.disputes.reschedule(scene.claire, dispute.id, day)
    scene.disputes.reschedule(scene.claire, dispute.id, scene.house.clock().date())
    assert scene.find(dispute).settle_by == scene.house.clock().date()


def test_nothing_stays_held_where_opening_fails(scene, house, monkeypatch) -> None:
    second = house.call(scene.customer, at=house.clock() + timedelta(minutes=2))
    hold, failures = type(house.changes).hold, []

    def fail(self, current, *arguments, **options):
        if current.row.id == second:
            failures.append(second)
            raise AccessError("access.erased", "it was destroyed meanwhile", "try again")
        return hold(self, current, *arguments, **options)

    monkeypatch.setattr(type(house.changes), "hold", fail)
    day = house.clock().date() + timedelta(days=1)
    with pytest.raises(AccessError):
        scene.disputes.open(scene.claire, [scene.call, second], subject="The price", settle_by=day)
    assert failures == [second]
    assert not house.changes.look(scene.customer.id, scene.call).terms.holds
    assert not dispute_ids(scene.customer.id)


# --- invitation


def test_a_link_leads_in_with_its_code(scene) -> None:
    dispute = scene.open()
    issued = scene.invite(dispute)
    link = scene.link(issued)
    assert (link.guest.name, link.guest.number, link.guest.role) == (
        "Jan Peeters", "+32470123456", EXTERNAL_PARTY
    )  # fmt: skip
    assert issued.code is not None
    assert not issued.mailed
    scene.invitations.check_code(link, f" {issued.code[:3]} {issued.code[3:]}")
    with refused("dispute.wrong_code"):
        scene.invitations.check_code(link, "000000" if issued.code != "000000" else "111111")
    user = scene.accept(issued)
    assert (user.id, user.role, user.language) == (link.guest.id, EXTERNAL_PARTY, "nl")
    assert scene.guest(dispute).takes_part
    assert not scene.guest(dispute).may_hear


def test_a_guest_is_no_user_of_the_customers(scene) -> None:
    user = scene.accept(scene.invite(scene.open()))
    assert user.id not in {each.id for each in users.users(scene.customer.id)}
    assert users.user_by_login(user.id) is not None
    from web.account.passwords import verify_password

    assert not verify_password(user.password_hash, "")
    assert not verify_password(user.password_hash, user.password_hash)
    with expect_error(CatalogueError, "user.role"):
        scene.house.user(scene.customer.id, "x", EXTERNAL_PARTY)


def test_a_no_costs_nothing_and_can_become_a_yes(scene) -> None:
    issued = scene.invite(dispute := scene.open())
    link = scene.link(issued)
    assert scene.invitations.answer(link, DECLINED, notice=NOTICE, language="nl") is None
    assert scene.guest(dispute).answer == DECLINED
    assert users.user(scene.customer.id, link.guest.id) is None
    assert scene.accept(issued).id == link.guest.id


def test_the_link_of_somebody_who_accepted_leads_back_in(scene) -> None:
    issued = scene.invite(scene.open())
    first = scene.accept(issued)
    assert scene.accept(issued).id == first.id
    statements = scene.disputes.find(scene.customer.id, scene.link(issued).dispute.id).statements
    assert [each.kind for each in statements] == ["opened", "guest_invited", "guest_answered"]


def test_old_withdrawn_expired_and_unknown_links_open_nothing(scene) -> None:
    dispute = scene.open()
    first = scene.invite(dispute)
    guest = first.guest
    old_link = scene.link(first)
    second = scene.invitations.renew_invitation(scene.claire, dispute.id, guest, address=None)
    with refused("dispute.unknown_link"):
        scene.link(first)
    with refused("dispute.unknown_link"):
        scene.invitations.answer(old_link, ACCEPTED, notice=NOTICE, language="nl")
    with refused("dispute.unknown_link"):
        scene.invitations.open_link("guessed")
    scene.link(second)
    scene.house.clock.forward(days=7)
    with refused("dispute.link_expired"):
        scene.link(second)
    third = scene.invitations.renew_invitation(scene.claire, dispute.id, guest, address=None)
    scene.invitations.withdraw_invitation(scene.claire, dispute.id, guest)
    with refused("dispute.guest_ended"):
        scene.link(third)


def test_a_restored_row_brings_no_old_link_back(scene) -> None:
    dispute = scene.open()
    first = scene.invite(dispute)
    with connected():
        old = DisputeGuestTable.get_by_id(first.guest).token_sha256
    scene.invitations.renew_invitation(scene.claire, dispute.id, first.guest, address=None)
    with writing():
        DisputeGuestTable.update(token_sha256=old).execute()
    with refused("dispute.unknown_link"):
        scene.link(first)


def test_a_withheld_number_has_nothing_to_call(scene, house) -> None:
    scene.call = house.call(scene.customer, external_party=Party("withheld", ""))
    dispute = scene.open()
    user = scene.accept(scene.invite(dispute))
    assert scene.guest(dispute).number is None
    with refused("dispute.no_number"):
        scene.calls.order(scene.customer.id, dispute.id, user.id)
    scene.vouch(dispute, user.id)
    assert scene.guest(dispute).verified_how == "people"


def paul_opens(scene) -> str:
    """A dispute that an admin opens; its id."""
    day = (scene.house.clock() + timedelta(days=10)).date()
    return scene.disputes.open(
        scene.customer.people["paul"], [scene.call], subject="The price of the bread", settle_by=day
    ).id


def paul_vouches(scene, dispute: str, address: str | None) -> str | None:
    """Paul invites a guest, who accepts, and vouches for them: how they are known now."""
    paul, house = scene.customer.people["paul"], scene.house
    scene.outbox = Outbox(house.keyring, "https://accord.example.com")
    issued = scene.invitations.invite(paul, dispute, name="Jan Peeters", language="nl", address=address)
    user = scene.accept(issued)
    scene.invitations.vouch(paul, dispute, user.id, "At 0:42")
    found = scene.disputes.find(scene.customer.id, dispute).find_guest(user.id)
    assert found.may_hear is (found.verified_how is not None)
    return found.verified_how


def test_whoever_is_alone_vouches_for_an_address_named_in_the_call(scene, house) -> None:
    """If the guest accepted by the link that was mailed there, and nobody else could vouch since the question
    was opened."""
    early = paul_opens(scene)
    house.clock.forward(seconds=1)
    users.revoke_user(
        scene.customer.id, scene.claire.id, now=house.clock(), entropy=house.entropy, by=By("operator")
    )
    house.clock.forward(seconds=1)
    assert paul_vouches(scene, early, "jan@example.com") is None, "Claire could vouch"
    assert paul_vouches(scene, paul_opens(scene), None) is None, "the link was passed on"
    assert paul_vouches(scene, paul_opens(scene), "jan@example.com") == "address"


def test_a_deleted_row_of_a_colleague_makes_nobody_alone(scene) -> None:
    UserTable.delete().where(UserTable.id == scene.claire.id).execute()
    assert paul_vouches(scene, paul_opens(scene), "jan@example.com") is None
    whose = (LeafTable.kind == "user.created") & LeafTable.body.contains(scene.claire.id)
    assert LeafTable.delete().where(whose).execute() == 1
    with pytest.raises(AuditLogError) as failure:
        paul_vouches(scene, paul_opens(scene), "jan@example.com")
    assert failure.value.error_id == "audit_log.incomplete"


def test_one_dispute_is_about_one_number(scene, house) -> None:
    other = house.call(
        scene.customer, external_party=Party("e164", "+32470999999"), at=house.clock() + timedelta(minutes=3)
    )
    day = house.clock().date() + timedelta(days=1)
    dispute = scene.disputes.open(scene.claire, [scene.call, other], subject="The price", settle_by=day)
    with refused("dispute.several_numbers"):
        scene.invite(dispute)


# --- who hears


def test_a_recognised_guest_hears_the_disputes_recording_and_nothing_else(scene, house) -> None:
    other = house.call(scene.customer, at=house.clock() + timedelta(minutes=5))
    dispute, user = scene.recognised()
    grant = house.gate.grant(scene.actor(user), scene.call, "agreement")
    assert b"".join(house.gate.open(scene.actor(user), grant.id, "audio.opus").read(0, 4)) == b"OggS"
    with expect_error(AccessError, "access.not_admitted"):
        house.gate.grant(scene.actor(user), other, "agreement")
    assert scene.guest(dispute).verified_how == "people"


def test_nobody_hears_before_being_recognised(scene, house) -> None:
    user = scene.accept(scene.invite(scene.open()))
    with expect_error(AccessError, "access.not_verified"):
        house.gate.grant(scene.actor(user), scene.call, "agreement")


@pytest.mark.parametrize("how", ["closed", "withdrawn", "left"])
def test_a_grant_ends_with_the_part(scene, house, how: str) -> None:
    dispute, user = scene.recognised()
    grant = house.gate.grant(scene.actor(user), scene.call, "agreement")
    if how == "closed":
        scene.disputes.close(scene.claire, dispute.id, SETTLED)
    elif how == "withdrawn":
        scene.invitations.withdraw_invitation(scene.claire, dispute.id, user.id)
    else:
        scene.invitations.leave(scene.customer.id, dispute.id, user.id)
    with pytest.raises(AccessError) as error:
        house.gate.open(scene.actor(user), grant.id, "audio.opus").read(0, 4)
    assert error.value.error_id in ("access.revoked", "access.dispute_closed")


def mails() -> dict[str, OutgoingMailTable]:
    with connected():
        return {row.kind: row for row in OutgoingMailTable.select()}


@pytest.mark.parametrize("end", ["accepted", "declined", "withdrawn", "closed"])
def test_an_invitation_is_reminded_of_once_unless_it_ends_before(scene, house, end) -> None:
    scene.outbox = Outbox(house.keyring, "https://accord.example.com")
    dispute = scene.open()

    def invite(guest: str | None = None) -> IssuedGuestLink:
        if guest is not None:
            return scene.invitations.renew_invitation(
                scene.claire, dispute.id, guest, address="jan@example.com"
            )
        return scene.invitations.invite(
            scene.claire, dispute.id, name="Jan", language="nl", address="jan@example.com"
        )

    first = invite()
    house.clock.forward(days=1)
    second = invite(first.guest)
    assert set(mails()) == {"dispute_invitation", "dispute_reminder"}
    reminder = mails()["dispute_reminder"]
    assert reminder.send_from == house.clock() + timedelta(days=4)
    assert second.path in open_mail(reminder, house.keyring).content.text
    assert reminder.until == scene.find(dispute).guests[0].until
    if end == "withdrawn":
        scene.invitations.withdraw_invitation(scene.claire, dispute.id, first.guest)
    elif end == "closed":
        scene.disputes.close(scene.claire, dispute.id)
    else:
        scene.invitations.answer(scene.link(second), end, notice=NOTICE, language="nl")
    assert not mails()


def test_closing_releases_the_recording(scene, house) -> None:
    dispute, _user = scene.recognised()
    scene.disputes.close(scene.claire, dispute.id)
    assert not house.changes.look(scene.customer.id, scene.call).terms.holds
    assert dispute_ids(scene.customer.id) == (dispute.id,)
    with refused("dispute.closed"):
        scene.invite(dispute)


def test_a_guest_has_no_other_exit(scene, house) -> None:
    _dispute, user = scene.recognised()
    actor = scene.actor(user)
    with pytest.raises(AccessError):
        house.gate.download(actor, scene.call, "agreement", "audio.opus")
    with pytest.raises(AccessError):
        house.gate.handover(actor)


# --- what rows alone cannot do


def test_statements_that_are_missing_changed_or_added_end_everything(scene, house) -> None:
    dispute, user = scene.recognised()
    with connected():
        rows = list(DisputeStatementTable.select().order_by(DisputeStatementTable.number))
    last, other = rows[-1], rows[-2]

    def is_refused() -> bool:
        with pytest.raises(SealError):
            scene.find(dispute)
        with pytest.raises(AccessError) as error:
            house.gate.grant(scene.actor(user), scene.call, "agreement")
        return error.value.error_id == "access.not_admitted"

    with writing():
        DisputeStatementTable.delete().where(DisputeStatementTable.id == last.id).execute()
    assert is_refused(), "the last one is missing"
    with writing():
        DisputeStatementTable.create(
            id=last.id, tenant_id=last.tenant_id, dispute_id=last.dispute_id, number=last.number,
            statement=other.statement,
        )  # fmt: skip
    assert is_refused(), "the last one is another"
    with writing():
        DisputeStatementTable.update(statement=last.statement.replace("people", "code")).where(
            DisputeStatementTable.id == last.id
        ).execute()
    assert is_refused(), "the last one was changed"
    assert [each.code for each in compare_disputes(scene.customer.id, house.trust)]


def test_what_is_stated_between_two_reads_is_no_contradiction(scene, monkeypatch) -> None:
    dispute = scene.open()
    read, invited = queries.leaf_lookup.leaves_about, list[str]()

    def invite_meanwhile(*about: object):
        if not invited:
            invited.append("")
            invited[0] = scene.invite(dispute).guest
        return read(*about)

    monkeypatch.setattr(queries.leaf_lookup, "leaves_about", invite_meanwhile)
    assert [each.id for each in scene.find(dispute).guests] == invited


def test_the_audit_compares_every_index(scene, house) -> None:
    scene.recognised()
    assert not list(compare_disputes(scene.customer.id, house.trust))
    for model, change in (
        (DisputeTable, {"settle_by": "2027-01-01"}),
        (DisputeTable, {"closed_at": house.clock()}),
        (DisputeTable, {"final_at": house.clock()}),
        (DisputeTable, {"page_token": "another"}),
        (DisputeGuestTable, {"role": "support"}),
        (DisputeRecordingTable, {"recording_id": "another"}),
        (DisputeGuestTable, {"token_sha256": "ef" * 32}),
    ):
        with connected():
            row = model.get()
            before = {name: getattr(row, name) for name in change}
        with writing():
            model.update(change).execute()
        assert [each.code for each in compare_disputes(scene.customer.id, house.trust)] == ["row.changed"]
        with writing():
            model.update(before).execute()
    with writing():
        DisputeTable.create(
            id="made up", tenant_id=scene.customer.id, opened_at=house.clock(), settle_by="2027-01-01"
        )
    assert [each.code for each in compare_disputes(scene.customer.id, house.trust)] == ["row.unlogged"]


def test_no_customer_sees_anothers(scene, house) -> None:
    rival = house.customer("Van Dyck NV", "+3225550199")
    dispute = scene.open()
    with refused("dispute.not_found"):
        scene.disputes.find(rival.id, dispute.id)
    assert not dispute_ids(rival.id)
    assert not disputes_about(rival.id, scene.call)
    assert queries.find_guest(rival.id, scene.invite(dispute).guest) is None


def test_each_statement_has_a_leaf_without_names(scene) -> None:
    dispute, _user = scene.recognised()
    with connected():
        bodies = [
            row.body
            for row in LeafTable.select().where(LeafTable.kind == "dispute.stated").order_by(LeafTable.number)
        ]
    assert len(bodies) == len(scene.find(dispute).statements)
    for secret in ("Jan", "Peeters", "price", "470123456", "voice"):
        assert not [body for body in bodies if secret in body]


# --- the call with a code


def test_the_code_of_the_call_recognises_a_guest(scene, house) -> None:
    dispute = scene.open()
    user = scene.accept(scene.invite(dispute))
    tenant = scene.customer.id
    call = scene.calls.order(tenant, dispute.id, user.id)
    assert (call.number, call.language) == ("+32470123456", "nl")
    with refused("call.pending"):
        scene.calls.order(tenant, dispute.id, user.id)
    with refused("call.no_code"):
        scene.calls.try_code(tenant, dispute.id, user.id, "123456")

    claim = register.take("node1", house.clock(), house.entropy)
    assert claim is not None
    code = claim[1]
    register.answer("node1", call, "done", house.clock(), house.entropy)
    assert not scene.calls.try_code(tenant, dispute.id, user.id, "000000" if code != "000000" else "1" * 6)
    assert scene.calls.try_code(tenant, dispute.id, user.id, code)
    assert scene.guest(dispute).verified_how == "code"
    with refused("dispute.verified"):
        scene.calls.order(tenant, dispute.id, user.id)
    house.gate.grant(scene.actor(user), scene.call, "agreement")


def test_a_guest_who_may_hear_is_called_at_the_number_of_the_call_and_told_no_code(scene, house) -> None:
    dispute, jan = scene.recognised()
    call = scene.calls.order_to_room(scene.customer.id, dispute.id, jan.id)
    assert (call.use, call.number, call.language) == (register.ROOM, "+32470123456", "nl")
    with refused("call.pending"):
        scene.calls.order_to_room(scene.customer.id, dispute.id, jan.id)
    now = house.clock()
    assert register.take("node1", now, house.entropy, register.OPENINGS) is None, "a node without rooms"
    claim = register.take("node2", now, house.entropy)
    assert claim is not None
    assert (claim[0].id, claim[1]) == (call.id, "")
    ringing = latest_call_to_room(scene.customer.id, jan.id)
    assert ringing is not None
    assert (ringing.taken_at, ringing.valid_until) == (now, None)
    assert ringing.at(ringing.until + register.SILENT).outcome is None
    with refused("call.no_code"):
        register.try_code(ringing, "", who=jan.id, now=now, entropy=house.entropy)
    register.answer("node2", call, "unanswered", house.clock(), house.entropy)
    found = latest_call_to_room(scene.customer.id, jan.id)
    assert found is not None
    assert found.outcome == "unanswered"
    with connected():
        rows = LeafTable.select().where(LeafTable.kind.startswith("room.")).order_by(LeafTable.number)
        kinds = [row.kind for row in rows]
    assert kinds == ["room.call_ordered", "room.call_taken", "room.called"]


def test_a_forged_order_to_another_number_is_not_called(scene, house) -> None:
    dispute, jan = scene.recognised()
    call = scene.calls.order_to_room(scene.customer.id, dispute.id, jan.id)
    with writing():
        VerificationCallTable.update(number="+32470999999").where(
            VerificationCallTable.id == call.id
        ).execute()
    assert register.take("node1", house.clock(), house.entropy) is None


def test_who_may_not_hear_is_not_called_to_the_room(scene, house) -> None:
    dispute = scene.open()
    user = scene.accept(scene.invite(dispute))
    with refused("dispute.not_theirs"):
        scene.calls.order_to_room(scene.customer.id, dispute.id, user.id)
    scene.vouch(dispute, user.id)
    scene.calls.order_to_room(scene.customer.id, dispute.id, user.id)
    house.clock.forward(minutes=5)
    scene.disputes.close(scene.claire, dispute.id)
    with refused("dispute.closed"):
        scene.calls.order_to_room(scene.customer.id, dispute.id, user.id)


def test_who_was_not_in_the_call_is_not_called_to_the_room(scene) -> None:
    dispute, jan = scene.recognised()
    scene.agreements.mark_passage(scene.claire, dispute.id, scene.call, 1000, 2000, "The price")
    passages = [each.id for each in scene.find(dispute).passages]
    ann = scene.accept(
        scene.invitations.invite_neutral(
            scene.claire, dispute.id, passages, name="Ann", language="fr", address=None
        )
    )
    scene.invitations.agree_to_guest(jan, dispute.id, ann.id, ACCEPTED, passages=passages)
    assert scene.find(dispute).find_guest(ann.id).may_hear
    with refused("dispute.not_theirs"):
        scene.calls.order_to_room(scene.customer.id, dispute.id, ann.id)


@pytest.mark.parametrize(
    ("number", "can_be_called"),
    [
        ("+32470123456", True),
        ("+3225550100", True),
        (None, False),
        ("+3290312345", False),
        ("112", False),
        ("+33142685300", False),
    ],
)
def test_only_ordinary_numbers_are_called(scene, number: str | None, can_be_called: bool) -> None:
    assert CallPolicy().allows_number(scene.customer.id, number) is can_be_called


def test_a_number_is_called_a_few_times_a_day(scene, house) -> None:
    dispute = scene.open()
    user = scene.accept(scene.invite(dispute))
    for _ in range(3):
        scene.calls.order(scene.customer.id, dispute.id, user.id)
        house.clock.forward(minutes=5)
        call = latest_call(scene.customer.id, user.id)
        assert register.refresh(call, house.clock(), house.entropy).outcome == "no_answer"
    with refused("call.number_exhausted"):
        scene.calls.order(scene.customer.id, dispute.id, user.id)


def test_a_guest_who_has_left_is_not_called(scene) -> None:
    dispute = scene.open()
    user = scene.accept(scene.invite(dispute))
    scene.invitations.leave(scene.customer.id, dispute.id, user.id)
    with refused("dispute.guest_ended"):
        scene.calls.order(scene.customer.id, dispute.id, user.id)


def test_an_erased_recording_is_not_heard(scene, house) -> None:
    dispute, user = scene.recognised()
    scene.disputes.close(scene.claire, dispute.id)
    row = catalogue.recording(scene.customer.id, scene.call)
    assert row is not None
    with pytest.raises(AccessError):
        house.gate.grant(scene.actor(user), scene.call, "agreement")


def test_tokens_are_long_and_stored_as_hashes(scene) -> None:
    issued = scene.invite(scene.open())
    assert len(token_of(issued)) >= 43
    with connected():
        assert token_of(issued) not in DisputeGuestTable.get_by_id(issued.guest).token_sha256
        statements = " ".join(row.statement for row in DisputeStatementTable.select())
    assert token_of(issued) not in statements
    assert issued.code is not None
    assert issued.code not in statements
