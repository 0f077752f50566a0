"""A world in which everything happened that a customer's log can say: kinds of leaves, and their fields."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

from recorder.audit import continuation
from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.records import KeepOptions
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.domain.roles import OPERATOR
from recorder.domain.room_caller import CallerReport
from recorder.errors import AccessError, SealError
from recorder.features.call_list import service as calls
from recorder.features.contacts import service as contacts
from recorder.features.disputes import queries as dispute_queries
from recorder.features.disputes.callers import CallerDesk
from recorder.features.disputes.dial_in import DialIn
from recorder.features.disputes.invitations import GuestInvitations
from recorder.features.disputes.service import Disputes
from recorder.features.offboarding import service
from recorder.features.own_call import codes as own_calls
from recorder.features.recovery import backup
from recorder.features.recovery.rebuild import Rebuild
from recorder.features.subject_requests import call_erasure, contact_erasure, reviews
from recorder.features.subject_requests import service as request_register
from recorder.features.team.account_links import AccountLinks
from recorder.features.tenants import setup
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.line_proposals import change_or_propose, drop_proposals
from recorder.features.tenants.registration import Registration
from recorder.features.tenants.transfer_options import NoticeChoice
from recorder.identity import download_permission, users
from recorder.lifecycle import amendments, expiry, plans, recordings, suspension
from recorder.lifecycle.key_rotation import KeyRotation
from recorder.lifecycle.line_proposals import find_proposals
from recorder.mail.outbox import Outbox
from recorder.playback import grants
from recorder.playback.interface import Actor
from recorder.processes.gate import PanelGate
from recorder.seal import kek_files
from recorder.seal.amendment import By
from tests.amendments import amend
from tests.clock import Clock
from tests.entropy import RepeatableEntropy
from tests.golden.receipts import catalogue, erase_all, hand_over, make_receipts
from tests.house import Bakery
from tests.identity_proof import vouch
from tests.stored_recordings import put_small
from tests.unit.auditlog.conftest import FIRST_DAY, World, make_world
from tests.unit.auditlog.filled import fill, invitations_of, own_calls_of, time_and_entropy

Fields = dict[str, set[tuple[str, ...]]]
"""By kind the fields that bodies had."""


def leaf() -> str:
    """One leaf, byte for byte."""
    names = ("leaf", "its hash", "its body", "its salt")
    sample = [f"== {name}\n{text}\n" for name, text in zip(names, make_receipts().leaf, strict=True)]
    return "\n".join(sample)


@cache
def everything() -> Fields:
    """Made once: it takes longer than all else here."""
    found: Fields = {}
    with tempfile.TemporaryDirectory() as name, catalogue(Path(name), "catalogue") as url:
        with connected():
            world = fill(make_world(Bakery(Path(name), Clock(FIRST_DAY), RepeatableEntropy("golden"), url)))
            _look(found)
            _settings(world)
            _eavesdrop(world)
            _keys(world)
            _start_erasure(world, found)
            world.sign()
            _look(found)
        _again(world, found)
    return found


def _look(found: Fields) -> None:
    """Bodies as they are now: some are gone later."""
    with connected():
        for row in LeafTable.select(LeafTable.kind, LeafTable.body):
            if row.body is not None:
                found.setdefault(row.kind, set()).add(tuple(sorted(json.loads(row.body))))


def _who(world: World) -> Actor:
    person = users.user(world.tenant, world.user)
    assert person is not None
    return Actor(person.id, person.tenant, person.role, person.language)


def _admin(world: World) -> Actor:
    return replace(_who(world), role="customer_admin")


def _gate(world: World) -> PanelGate:
    house, services = world.house, world.house.services
    return PanelGate(services.store, services.keyring, services.root, now=house.clock, entropy=house.entropy)


def _settings(world: World) -> None:
    world.happen()
    person = users.user(world.tenant, world.user)
    assert person is not None
    assert users.note_refused_log_in(person, **time_and_entropy(world))
    signer = world.house.services.signer
    assert users.set_password(
        world.tenant, world.user, "$argon2id$4", signer=signer, **time_and_entropy(world)
    )
    _team(world)
    world.house.limit(None, purpose="training")
    calls.note_download(world.tenant, world.user, **time_and_entropy(world))
    line = world.house.line.id
    assert change_line(
        world.tenant, line, LineChange(notice=NoticeChoice("alone", True)), **time_and_entropy(world)
    )
    assert setup.switch_off(world.tenant, line, who=world.user, **time_and_entropy(world))
    row = queries.line(world.tenant, line)
    assert row is not None
    admin = world.house.user(world.tenant, "ines", "customer_admin").id
    assert setup.switch_on(
        world.tenant, line, setup.preview(world.tenant, row).digest, who=admin, **time_and_entropy(world)
    )
    row = queries.line(world.tenant, line)
    assert row is not None
    outcome = change_or_propose(
        row, LineChange(mode="notice", keep=KeepOptions(365)), **time_and_entropy(world)
    )
    assert outcome.code == "proposed", outcome
    (proposal,) = find_proposals(world.tenant).values()
    assert drop_proposals(world.tenant, {line: proposal.number}, who=admin, **time_and_entropy(world))
    change = LineChange(formats=["wav"], label="Comptoir")
    assert change_line(world.tenant, line, change, who=world.user, **time_and_entropy(world))
    for stopped in (None, line):
        assert suspension.suspend(world.tenant, stopped, reason="Unpaid", **time_and_entropy(world))
        assert suspension.resume(world.tenant, stopped, **time_and_entropy(world))
    _plan(world)
    _provider(world)
    _difference(world)
    _telephone(world)
    by, _mac = own_calls_of(world)
    withdraw = {"signer": signer, "trust": world.house.trust, **time_and_entropy(world)}
    assert own_calls.withdraw_code(world.tenant, world.live_recording, by, **withdraw)


def _plan(world: World) -> None:
    file = world.house.folder / "plans.toml"
    body = 'features = []\nlongest_keep_days = 30\nformats = ["opus"]\n'
    file.write_text(f"[{plans.STARTER}]\n{body}[basic]\n{body}")
    plans.use_file(file)
    assert plans.change_plan(world.tenant, "basic", **time_and_entropy(world))
    plans.use_file(None)


def _provider(world: World) -> None:
    """A customer whom one of the provider's people creates."""
    house = world.house
    registration = Registration(house.keyring, entropy=house.entropy)
    provider = registration.open_provider("Telvoip", "en", house.clock())
    operator = world.house.user(provider.id, "olga", OPERATOR, language="en")
    registration.create_customer(
        "Reliure Adam", language="fr", languages=("fr",), time_zone="Europe/Brussels", country="be",
        by=operator, now=house.clock(),
    )  # fmt: skip


def _difference(world: World) -> None:
    """A recording that is kept for a difference, which somebody else handles in the end."""
    changes, arguments = world.house.changes, (world.tenant, world.live_recording, By("user", world.user))
    review = world.house.clock() + timedelta(days=9)
    amend(
        changes.hold,
        *arguments,
        owner=world.user,
        purposes=["agreement"],
        reason="An order",
        review_at=review,
    )
    hold = amendments.holds(world.tenant, world.live_recording)[-1].number
    current, by = changes.look(world.tenant, world.live_recording), By("user", world.user)
    changes.hand_over(current, by, hold=hold, owner="somebody else")
    changes.lift(current, by, hold=hold + 1, reason="Settled")


def _telephone(world: World) -> None:
    """The guest of a difference calls in, and says yes."""
    house = world.house
    dial_in = DialIn("+3225550199", house.keyring, house.trust)
    disputes = Disputes(house.changes)
    (dispute,) = (disputes.find(world.tenant, each) for each in dispute_queries.dispute_ids(world.tenant))
    desk = CallerDesk(
        house.folder, house.folder / "desk", dial_in, GuestInvitations(disputes, Outbox(), dial_in),
        lambda *_room: (), lambda: True, "node1",
    )  # fmt: skip
    code = dial_in.code_of(dispute, dispute.guests[0].id, house.clock())
    assert code is not None
    assert desk.answer(CallerReport("a", "code", code)).to == "ask"
    assert desk.answer(CallerReport("a", "answer", "1")).to == "enter"


def _team(world: World) -> None:
    """Invitations that end in every way, and changes of people's access."""
    house = world.house
    arguments = (house.services.signer, house.trust)
    team = invitations_of(world, Outbox())
    links = AccountLinks(b"k" * 32, *arguments, Outbox(), house.clock, house.entropy)
    someone = {"role": "customer", "lines": None, "language": "fr", "by": By("user", world.user)}
    first = team.invite(world.tenant, address="eva@example.com", name="Eva", **someone)
    other = team.invite(world.tenant, address="tom@example.com", name="Tom", **someone)
    team.withdraw(world.tenant, other.id, By("operator"))
    again = team.renew(world.tenant, first.id, By("operator"))
    person = team.accept(again.path.rpartition("/")[2], "$argon2id$5")
    links.issue_reset(person, None)
    links.change_address(person, "eva.maes@example.com")
    change = {"signer": arguments[0], "trust": arguments[1], "by": By("operator"), **time_and_entropy(world)}
    assert users.change_access(world.tenant, person.id, role="customer", lines=[house.line.id], **change)
    allow = {"signer": arguments[0], "trust": arguments[1], **time_and_entropy(world)}
    assert download_permission.set_permission(world.tenant, person.id, True, By("operator"), **allow)
    assert users.revoke_user(world.tenant, person.id, by=By("operator"), **time_and_entropy(world))


def _eavesdrop(world: World) -> None:
    gate, who, clock = _gate(world), _who(world), world.house.clock
    with suppress(AccessError):
        gate.grant(who, world.erased, "agreement")
    grant = gate.grant(who, world.live_recording, "agreement")
    row = grants.find_grant(world.tenant, world.user, grant.id)
    assert row is not None
    assert grants.renew(row, clock() + timedelta(hours=2), **time_and_entropy(world))
    clock.forward(minutes=61)
    assert grants.renew(row, clock() + timedelta(minutes=15), **time_and_entropy(world))
    file = next(world.house.bucket.rglob(f"{world.live_recording}/audio.*"))
    sound = gate.download(_admin(world), world.live_recording, "agreement", file.name)
    assert list(sound.read(0, sound.length))
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with suppress(SealError):
        list(gate.open(who, grant.id, file.name, "one").read(0, 1))
    file.write_bytes(content)


def _keys(world: World) -> None:
    folder, house = world.house.folder / "keys", world.house
    kek_files.make_next(folder, house.entropy)
    rotation = KeyRotation(
        house.services.store, kek_files.rotation_keyring(folder), house.clock, house.entropy, "one"
    )
    rotation.begin(world.tenant)
    rotation.all()
    kek_files.promote(folder, lambda _point: None)
    house.services = replace(house.services, keyring=kek_files.keyring(folder))


def _start_erasure(world: World, found: Fields) -> None:
    """A recording that the customer has deleted, calls that were not recorded, for a person who asked."""
    tenant, house = world.tenant, world.house
    recording = put_small(house)
    with connected():
        undecided = NotRecordedTable.get(NotRecordedTable.quarantined_until.is_null(False)).id
    recordings.note_quarantine_erasure(undecided, **time_and_entropy(world))
    request = request_register.enter(
        tenant, number="+32470123456", wants="erasure", language="fr", received_on=house.clock().date(),
        by_kind="operator", by=None, **time_and_entropy(world),
    ).id  # fmt: skip
    vouch(tenant, request, signer=house.services.signer, **time_and_entropy(world))
    _look(found)
    amend(house.office().delete, tenant, recording, By("user", world.user), reason="Not needed.")
    assert expiry.destroy_due(house.services, house.clock()) == 1
    reviews.note_erasure(
        tenant,
        request,
        world.live_recording,
        why_not=None,
        until=None,
        who=world.user,
        **time_and_entropy(world),
    )
    contacts.write_names(tenant, world.user, {"+32470123456": "Jan Peeters"}, **time_and_entropy(world))
    verified = request_register.find_erasure_request(tenant, request, house.clock())
    assert contact_erasure.erase_name(verified, world.user, **time_and_entropy(world))
    call_erasure.erase_calls(house.office(), verified, world.user)


def _again(world: World, found: Fields) -> None:
    """The catalogue is lost, after a copy of it was made."""
    house, path = world.house, world.house.folder / "accord.backup"
    ring, public = house.services.keyring, house.services.root
    time_and_entropy = house.clock, house.entropy
    backup.write(path, ring, house.clock(), house.entropy, lambda _table, _rows: None)
    house.clock.forward(hours=1)
    put_small(house)
    world.sign()
    _look(found)
    with catalogue(house.folder, "again"):
        backup.restore(path, ring, house.clock(), house.entropy, lambda _table, _rows: None)
        Rebuild(house.services.store, ring, public, *time_and_entropy, threads=1).run()
        continuation.restart_log(
            world.tenant, "the disk broke", world.signing(), house.clock.forward(minutes=1)
        )
        assert house.confirm_holds()
        _offboard(world, found)
        _look(found)


def _offboard(world: World, found: Fields) -> None:
    """The customer leaves, does not, and leaves after all."""
    tenant, house, office = world.tenant, world.house, world.house.office()
    service.announce(office, tenant, house.clock() + timedelta(days=10))
    service.cancel(office, tenant)
    house.clock.forward(minutes=1)
    service.announce(office, tenant, house.clock() + timedelta(days=10))
    hand_over(house, office)
    handed = _gate(world).handover(_who(world))
    assert sum(map(len, handed.read(0, handed.length))) == handed.length
    for hold in (1, 2):
        office.lift(
            office.look(tenant, world.live_recording), By("operator"), hold=hold, reason="They agree."
        )
    for each in office.look(tenant, world.live_recording).terms.deferrals:
        amend(
            office.end_deferrals, tenant, world.live_recording, By("operator"),
            dispute=each.dispute, how="ordered", people=["claire", "paul"],
        )  # fmt: skip
    _look(found)
    erase_all(house, office)
