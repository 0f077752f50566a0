"""A world in which every table has rows written by the product."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyotp

from recorder.auditlog import mail_witness
from recorder.catalogue import queries as queries_of_catalogue
from recorder.catalogue import queries as queries_of_people
from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import KeepOptions, NotRecordedRow
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.identity import AccountLinkTable, UserTable
from recorder.catalogue.tables.offboarding import HandoverFetchTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.saved_filter import SavedFilterTable
from recorder.catalogue.tables.subject_request import SubjectRequestTable
from recorder.catalogue.tables.throttle import ThrottleTable
from recorder.domain.parties import Party
from recorder.features.branding.service import save_branding
from recorder.features.contacts import service as contacts
from recorder.features.disputes import queries as dispute_queries
from recorder.features.disputes.dial_in import DialIn
from recorder.features.disputes.guest_calls import GuestCalls
from recorder.features.disputes.invitations import GuestInvitations
from recorder.features.disputes.service import Disputes
from recorder.features.fleet.doctor_reports import DoctorReport, report_findings
from recorder.features.fleet.service import report_node
from recorder.features.live import queries
from recorder.features.live import service as live_service
from recorder.features.live.queries import LiveRow
from recorder.features.notes import service as notes
from recorder.features.notifications import service as notifications
from recorder.features.notifications.rules import KINDS, ON_PAGE
from recorder.features.own_call import codes as own_calls
from recorder.features.own_call.admissions import verify_number
from recorder.features.own_call.opening import OwnCalls
from recorder.features.own_call.rules import code_mac
from recorder.features.own_call.tenant_rule import change_rule
from recorder.features.recovery import rebuild_queue
from recorder.features.rooms.rules import RoomCommand
from recorder.features.rooms.service import Rooms
from recorder.features.subject_requests import reviews, verification_code
from recorder.features.subject_requests import service as request_register
from recorder.features.team import extensions
from recorder.features.team.invitations import Invitations
from recorder.features.tenants import (
    announcements,
    composition,
    drafts,
    lines,
    service,
    setup,
)
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.number_proof import NumberProofs
from recorder.features.tenants.transfer_options import NoticeChoice
from recorder.features.usage import service as usage
from recorder.identity import api_tokens, download_permission, tenants, users
from recorder.ids import uuid7
from recorder.lifecycle import amendments, line_history, recordings, suspension
from recorder.mail.message import MailMessage
from recorder.mail.outbox import Outbox
from recorder.playback import grants
from recorder.playback.interface import Actor
from recorder.processes.node_report import measure_node
from recorder.seal import signing
from recorder.seal.amendment import By
from recorder.seal.branding import Branding
from recorder.seal.dispute_kinds import ACCEPTED
from recorder.verification_calls import register
from recorder.verification_calls.policy import CallPolicy
from recorder.verification_calls.register import ROOM
from tests.announcements import announcement_in
from tests.identity_proof import vouch

from .conftest import World
from .tampered_later import hold

NODE = "node1"
CALL = "01930000-0000-7000-8000-0000000000c1"
ENDED_CALL = "01930000-0000-7000-8000-0000000000c3"


def _passing_rows(world: World) -> None:
    """Rows about downloads of an archive and about failed log-ins, and a mail that waits."""
    with writing():
        HandoverFetchTable.create(id="a/b", tenant_id=world.tenant, leaf=0)
        ThrottleTable.create(key="ab" * 32, empty_ms=1)
        SavedFilterTable.create(
            id="a filter", tenant_id=world.tenant, user=world.user, name="Refused",
            arguments={"agreement": "refused"}, created_at=world.house.clock(),
        )  # fmt: skip
    report_findings(DoctorReport(NODE, world.house.clock(), ("dialplan",), ("disk",)))
    report_node(measure_node(NODE, world.house.folder, world.house.clock(), "root", ("kek",), (ROOM,)))
    notifications.set_choices(world.tenant, world.user, dict.fromkeys(KINDS, ON_PAGE))
    notifications.note_import(
        world.tenant,
        b"file,began_at",
        imported=3,
        failed=1,
        until=world.house.clock(),
        **time_and_entropy(world),
    )
    values = {"name": "Luc", "customer": "Boulangerie Martin"}
    message = MailMessage("invitation", "fr", values, "/invitation/x")
    outbox = Outbox(world.house.keyring, "https://accord.example.com")
    assert outbox.enqueue(world.tenant, "luc@example.com", message, **time_and_entropy(world), about="luc")
    with writing():
        AccountLinkTable.create(
            id=f"{world.user}/password", tenant_id=world.tenant, token_sha256="cd" * 32,
            until=world.house.clock(),
        )  # fmt: skip
    for name, some in (("Piet", None), ("Sofie", [world.house.line.id])):
        invitations_of(world, Outbox()).invite(
            world.tenant, address=f"{name}@example.com", name=name, role="customer", lines=some,
            language="nl", by=By("operator"),
        )  # fmt: skip


def invitations_of(world: World, outbox: Outbox) -> Invitations:
    """Invites people to the world's customer."""
    house = world.house
    return Invitations(house.services.signer, house.trust, outbox, house.clock, house.entropy)


def _usage(world: World) -> None:
    tenant = queries_of_people.tenant(world.tenant)
    assert tenant is not None
    assert usage.count_due(tenant, **time_and_entropy(world))


def fill(world: World) -> World:
    """Make rows in every table, and sign the log."""
    hold(world)
    _somebody_else(world)
    _settings(world)
    _calls(world)
    _people(world)
    _number(world)
    _dispute(world)
    _person(world)
    _own_call(world)
    _passing_rows(world)
    _usage(world)
    with connected():
        amendments.begin_amendment(world.tenant, world.live_recording, world.house.clock())
    lease.take("something", "somebody", world.house.clock())
    rebuild_queue.begin(world.house.clock())
    rebuild_queue.add(
        [rebuild_queue.QueuedPlace("a/place/", ("manifest.json",), world.live_recording)], "read", "a"
    )
    world.sign()
    return world


def time_and_entropy(world: World) -> dict[str, Any]:
    return {"now": world.house.clock(), "entropy": world.house.entropy}


def _somebody_else(world: World) -> None:
    """Another customer, whose ids an attacker can put into rows."""
    house, to = world.house, str(uuid7(world.house.clock(), world.house.entropy))
    key = house.services.keyring.new_tenant_key(to, house.entropy).to_bytes().decode()
    tenants.create_tenant(to, name="Van Dyck", wrapped_key=key, **time_and_entropy(world))
    sound = announcement_in("fr")
    row = announcements.create_announcement(
        to, name="theirs", language="fr", text=sound.text, purposes=sound.purposes, keep_days=sound.keep_days,
        wav=sound.path.read_bytes(), **time_and_entropy(world),
    )  # fmt: skip
    lines.create_line(to, number="+3225550999", announcement=row.id, **time_and_entropy(world))
    world.house.user(to, "piet@example.com", language="nl")


def _settings(world: World) -> None:
    tenant, line = world.tenant, world.house.line.id
    service.set_tenant_country(tenant, "be", **time_and_entropy(world))
    service.decide_country(tenant, alone=True, **time_and_entropy(world))
    for stopped in (None, line):
        assert suspension.suspend(tenant, stopped, reason="Unpaid", **time_and_entropy(world))
        assert suspension.resume(tenant, stopped, **time_and_entropy(world))
    change_line(tenant, line, LineChange(timing="before_ringing"), **time_and_entropy(world))
    announcement = composition.compose(
        tenant,
        name="asking",
        language="fr",
        mode="opt-out",
        purposes=["agreement"],
        keep_days=30,
        **time_and_entropy(world),
    )
    change_line(tenant, line, LineChange(announcements=[announcement.id]), **time_and_entropy(world))
    change_line(tenant, line, LineChange(languages=["fr", "en"]), **time_and_entropy(world))
    change_line(tenant, line, LineChange(keep=KeepOptions(keep_days=30)), **time_and_entropy(world))
    change_line(tenant, line, LineChange(deletable=True), **time_and_entropy(world))
    change_line(tenant, line, LineChange(notice=NoticeChoice("alone")), **time_and_entropy(world))
    change_line(tenant, line, LineChange(beep="both"), **time_and_entropy(world))
    change_line(tenant, line, LineChange(outbound="before_connected"), **time_and_entropy(world))
    plain = world.house.line.announcement
    second = lines.create_line(tenant, number="+3225550177", announcement=plain, **time_and_entropy(world))
    line_history.end_line(tenant, second.id, **time_and_entropy(world))
    third = lines.create_line(tenant, number="+3225550178", announcement=plain, **time_and_entropy(world))
    assert setup.switch_off(tenant, third.id, who=world.user, **time_and_entropy(world))
    row = queries_of_catalogue.line(tenant, third.id)
    assert row is not None
    draft = setup.current_draft(tenant, row)
    assert drafts.save_draft(tenant, third.id, draft, who=world.user, now=world.house.clock())


def _calls(world: World) -> None:
    now = world.house.clock()
    external_party = Party("e164", "+32470123456")
    recordings.add_not_recorded(
        NotRecordedRow(
            id=str(uuid7(now, world.house.entropy)), tenant=world.tenant, line=world.house.line.id,
            number="+3225550100", direction="inbound", node=NODE, external_party=external_party,
            started_at=now,
            ended_at=now, reason="refused", quarantined_until=now + timedelta(days=30),
        ),
        **time_and_entropy(world),
    )  # fmt: skip
    row = LiveRow(
        id=CALL, tenant=world.tenant, node=NODE, line=world.house.line.id, number="+3225550100",
        direction="inbound", external_party=external_party, started_at=now, announced=True,
        paused_until=None, deletable=True,
    )  # fmt: skip
    ended = replace(row, id=ENDED_CALL, paused_until=None, deletable=False, ended_at=now)
    queries.put(NODE, [row, ended], now)
    keys = world.house.folder / "keys"
    panel = signing.load_signer(keys / signing.PANEL_KEY, keys / signing.PANEL_ENDORSEMENT)
    asks = {"by": "panel", "who": world.user, "signer": panel}
    first = live_service.request_command(world.tenant, CALL, "pause", **asks, **time_and_entropy(world))
    assert first is not None
    assert queries.take(NODE, first.id, **time_and_entropy(world))
    assert queries.answer(NODE, first.id, "done", **time_and_entropy(world))
    assert live_service.request_command(world.tenant, CALL, "delete", **asks, **time_and_entropy(world))


def _people(world: World) -> None:
    house, until = world.house, world.house.clock() + timedelta(hours=8)
    person = users.user(world.tenant, world.user)
    assert person is not None
    session = users.open_session(person, token_sha256="12" * 32, until=until, **time_and_entropy(world))
    grant = grants.create_grant(grants.PermittedUse(
        tenant=world.tenant, user=world.user, session=session.id, recording=world.live_recording,
        purpose="agreement", manifest_sha256=_manifest_sha256(world),
        until=house.clock() + timedelta(minutes=15)), **time_and_entropy(world),
    )  # fmt: skip
    listen = grants.count_sent(grant, "another", "audio.opus", 100, **time_and_entropy(world))
    assert listen is not None
    assert grants.note_player_report(listen, [(0, 1000)], list)
    assert grants.close_listen(listen, **time_and_entropy(world))
    other = world.house.user(world.tenant, "luc@example.com", lines=[world.house.line.id])
    permission = {"signer": house.services.signer, "trust": house.trust, **time_and_entropy(world)}
    download_permission.set_permission(world.tenant, person.id, True, By("user", world.user), **permission)
    branding = Branding(world.tenant, 1, world.user, name="Telvoip")
    save_branding(branding, signer=house.services.signer, **time_and_entropy(world))
    users.set_profile(world.tenant, person.id, name="Claire M.", language="nl", **time_and_entropy(world))
    factors = house.factors
    boss = house.user(world.tenant, "boss@example.com", "customer_admin")
    factors.require_second_factor(boss, True)
    key = factors.new_app_key(person)
    code = pyotp.TOTP(factors.secret(person, key)).at(house.clock())
    assert factors.add_app(person, key, code)
    factors.request_reset(person, boss)
    factors.request_reset(person, boss)
    users.revoke_user(world.tenant, other.id, **time_and_entropy(world))
    notes.add_note(
        world.tenant,
        world.live_recording,
        world.user,
        text="Call back",
        at_ms=1000,
        **time_and_entropy(world),
    )
    (note,) = notes.notes_of(world.tenant, world.live_recording)
    notes.edit_note(
        world.tenant,
        world.live_recording,
        note.id,
        world.user,
        text="Call back on Monday",
        **time_and_entropy(world),
    )
    notes.add_label(world.tenant, world.live_recording, world.user, text="Order", **time_and_entropy(world))
    label = notes.notes_of(world.tenant, world.live_recording)[-1]
    notes.delete_note(
        world.tenant, world.live_recording, label.id, world.user, any_author=False, **time_and_entropy(world)
    )
    for names in ({"+32470000011": "Jan", "+32470000012": "Els"}, {"+32470000011": "Jan Peeters"}):
        contacts.write_names(world.tenant, world.user, names, **time_and_entropy(world))
    contacts.delete_name(world.tenant, world.user, "+32470000012", **time_and_entropy(world))
    for theirs in (["2001", "2002"], ["2001"]):
        extensions.set_extensions(
            world.tenant, world.user, theirs, by=By("operator"), **time_and_entropy(world)
        )
    signer = world.house.services.signer
    api_tokens.create(
        world.tenant, name="crm", token_sha256="34" * 32, signer=signer, **time_and_entropy(world)
    )
    mail_witness.add(world.tenant, "luc@example.com", **time_and_entropy(world))
    mail_witness.remove(world.tenant, "luc@example.com", **time_and_entropy(world))


def _number(world: World) -> None:
    """A number that was added by its code, and one that was not."""
    tenant = queries_of_people.tenant(world.tenant)
    assert tenant is not None
    proofs = NumberProofs(CallPolicy(calls_a_day=100), now=world.house.clock, entropy=world.house.entropy)
    for entry in ("02 555 07 77", "02 555 07 78"):
        order = proofs.order_call(tenant, entry, who=world.user)
        claim = register.take(NODE, **time_and_entropy(world))
        assert claim is not None
        register.answer(NODE, claim[0], "done", **time_and_entropy(world))
    wrong = f"{(int(claim[1]) + 1) % 10**6:06}"
    assert proofs.prove(tenant, order.id, wrong, who=world.user) is None
    assert proofs.prove(tenant, order.id, claim[1], who=world.user) is not None


def _dispute(world: World) -> None:
    """A dispute with a guest who was recognised by a call with a code, and its room."""
    house, person = world.house, users.user(world.tenant, world.user)
    assert person is not None
    disputes = Disputes(house.changes)
    invitations = GuestInvitations(disputes, Outbox())
    day = (house.clock() + timedelta(days=10)).date()
    dispute = disputes.open(person, [world.live_recording], subject="The price", settle_by=day)
    issued = invitations.invite(person, dispute.id, name="Jan", language="nl", address=None)
    link = invitations.open_link(issued.path.rpartition("/")[2])
    guest = invitations.answer(link, ACCEPTED, notice="You may say no.", language="nl")
    assert guest is not None
    calls = GuestCalls(disputes)
    calls.order(world.tenant, dispute.id, guest.id)
    claim = register.take(NODE, **time_and_entropy(world))
    assert claim is not None
    register.answer(NODE, claim[0], "done", **time_and_entropy(world))
    wrong = f"{(int(claim[1]) + 1) % 10**6:06}"
    assert not calls.try_code(world.tenant, dispute.id, guest.id, wrong)
    assert calls.try_code(world.tenant, dispute.id, guest.id, claim[1])
    calls.order_to_room(world.tenant, dispute.id, guest.id)
    claim = register.take(NODE, **time_and_entropy(world))
    assert claim is not None
    register.answer(NODE, claim[0], "done", **time_and_entropy(world))
    dial_in = DialIn("+3225550199", house.keyring, house.trust)
    assert GuestInvitations(disputes, Outbox(), dial_in).renew_dial_code(person, dispute.id, guest.id)
    assert dial_in.code_of(disputes.find(world.tenant, dispute.id), guest.id, house.clock())
    rooms = Rooms(house.clock, lambda: None)
    rooms.note_presence(world.tenant, dispute.id, guest.id, ready=True)
    found = disputes.find(world.tenant, dispute.id)
    with writing():
        dispute_queries.note_news(found, person.id, found.statements[-1], mailed=1, mailed_at=house.clock())
    room = rooms.find(world.tenant, dispute.id, world.live_recording)
    rooms.command(room, RoomCommand("play"), guest.id, seq=0, durations={world.live_recording: 1000})


def own_calls_of(world: World) -> tuple[By, str]:
    """Lets the world's people open their calls: who does, and the MAC of a new code for the recording."""
    person = users.user(world.tenant, world.user)
    assert person is not None
    by, actor = By("user", person.id), Actor(person.id, person.tenant, person.role, person.language)
    change_rule(world.tenant, on=True, days=14, names=True, by=by, **time_and_entropy(world))
    code = own_calls.give_code(
        world.house.gate.facts(actor, world.live_recording), by, key=b"s" * 32, policy=CallPolicy(),
        signer=world.house.changes.signer, **time_and_entropy(world),
    )  # fmt: skip
    return by, code_mac(b"s" * 32, code)


def _own_call(world: World) -> None:
    """A call that its person opened with both codes."""
    _by, mac = own_calls_of(world)
    calls = OwnCalls(world.house.changes, CallPolicy(calls_a_number=9))
    calls.order_call(mac, "fr")
    claim = register.take(NODE, uses=[register.OWN_CALL], **time_and_entropy(world))  # another call is open
    assert claim is not None
    register.answer(NODE, claim[0], "done", **time_and_entropy(world))
    guest = calls.open(mac, claim[1], name="Jan", language="fr")
    actor = Actor(guest.id, guest.tenant, guest.role, guest.language)
    person = verify_number(actor, world.live_recording, world.house.trust, world.house.clock())
    request_register.enter_own(person, wants="erasure", language="fr", **time_and_entropy(world))


def _manifest_sha256(world: World) -> str:
    with connected():
        return str(RecordingTable.get_by_id(world.live_recording).manifest_sha256)


def _person(world: World) -> None:
    tenant = world.tenant
    with connected():
        request = SubjectRequestTable.select().where(SubjectRequestTable.tenant_id == tenant).get().id
        who = UserTable.select().where(UserTable.id == world.user).get().id
    request_register.extend(tenant, request, why="many calls", who=who, **time_and_entropy(world))
    policy = CallPolicy(calls_a_number=9)
    order = verification_code.order_call(tenant, request, who=who, policy=policy, **time_and_entropy(world))
    claim = register.take(NODE, **time_and_entropy(world))
    assert claim is not None
    register.answer(NODE, claim[0], "done", **time_and_entropy(world))
    assert order.id == claim[0].id
    wrong = f"{(int(claim[1]) + 1) % 10**6:06}"
    assert not verification_code.try_code(tenant, request, wrong, who=who, **time_and_entropy(world))
    assert verification_code.try_code(tenant, request, claim[1], who=who, **time_and_entropy(world))
    keys = world.house.folder / "keys"
    panel = signing.load_signer(keys / signing.PANEL_KEY, keys / signing.PANEL_ENDORSEMENT)
    decided = time_and_entropy(world) | {"signer": panel}
    reviews.decide(tenant, request, world.live_recording, decision="own", why="", who=who, **decided)
    reviews.note_export(
        tenant,
        request,
        world.live_recording,
        channels="own",
        name="audio.wav",
        who=who,
        **time_and_entropy(world),
    )
    reviews.note_erasure(
        tenant, request, world.live_recording, why_not="retention.held",
        until=world.house.clock() + timedelta(days=9), who=who, **time_and_entropy(world),
    )  # fmt: skip
    request_register.note_export(tenant, request, who, **time_and_entropy(world))
    second = request_register.enter(
        tenant, number="+32470123456", wants="erasure", language="fr", received_on=world.house.clock().date(),
        by_kind="user", by=who, **time_and_entropy(world),
    )  # fmt: skip
    vouch(tenant, second.id, signer=world.house.services.signer, **time_and_entropy(world))
    reviews.decide(
        tenant,
        second.id,
        world.live_recording,
        decision="withheld",
        why="not only theirs",
        who=who,
        **time_and_entropy(world),
    )
    request_register.close(tenant, second.id, how="answered", who=who, **time_and_entropy(world))
    third = request_register.enter(
        tenant, number="+32470123456", wants="copy", language="fr", received_on=world.house.clock().date(),
        by_kind="user", by=who, **time_and_entropy(world),
    )  # fmt: skip
    verification_code.order_call(tenant, third.id, who=who, policy=policy, **time_and_entropy(world))
