"""A copy for the person who was recorded: what an admin decided, of what was sealed."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest
from structlog.testing import capture_logs

from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.domain.parties import Party
from recorder.errors import AccordError, SealError
from recorder.features.subject_requests import reviews, service
from recorder.features.subject_requests.service import CopyRequest
from recorder.identity import users
from recorder.lifecycle import amendments, expiry, recordings
from recorder.playback import channel_mute
from recorder.playback.interface import Actor, RecordingCopy
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import Data, DeletionRequested, ErasureDeferred, HoldSet
from tests.amendments import amend
from tests.house import CALLER, House
from tests.identity_proof import vouch
from tests.stored_recordings import forge, put_small
from tests.unit.offboarding.test_imports import bring, speech, table

OTHER = Party("e164", "+32470999999")
OPERATOR = By("operator")
SOUND = "audio.opus"


@pytest.fixture
def admin(somebody) -> Actor:
    return somebody("customer_admin")


@pytest.fixture
def ask(house) -> Callable[..., str]:
    """Registers a request of the caller's, which is verified; returns its id."""

    def make(tenant: str = "") -> str:
        when = {"now": house.clock(), "entropy": house.entropy}
        request = service.enter(
            tenant or house.tenant, number=CALLER.value, wants="both", language="fr",
            received_on=house.clock().date(), by_kind="operator", by=None, **when,
        )  # fmt: skip
        vouch(request.tenant, request.id, **when)
        return request.id

    return make


@pytest.fixture
def request_(house, ask) -> CopyRequest:
    return service.find_copy_request(house.tenant, ask())


@pytest.fixture
def decide(house, admin) -> Callable[..., None]:
    """Decides what of a recording is given."""

    def make(request: CopyRequest, recording: str, decision: str, why: str = "", signed: bool = True) -> None:
        reviews.decide(
            request.tenant, request.id, recording, decision=decision, why=why, who=admin.user,
            now=house.clock(), entropy=house.entropy, signer=house.changes.signer if signed else None,
        )  # fmt: skip

    return make


def row_of(house: House, recording: str) -> RecordingRow:
    row = queries.recording(house.tenant, recording)
    assert row is not None
    return row


def leaves(recording: str, kind: str) -> list[dict[str, object]]:
    """The bodies of a recording's leaves of a kind."""
    with connected():
        rows = LeafTable.select().where((LeafTable.recording_id == recording) & (LeafTable.kind == kind))
        return [json.loads(row.body) for row in rows.order_by(LeafTable.number)]


def refusals(recording: str) -> list[object]:
    return [body["reason"] for body in leaves(recording, "access.refused")]


def refused(error_id: str):
    return pytest.raises(AccordError, check=lambda error: error.error_id == error_id)


def check_facts(copy: RecordingCopy, house: House, recording: str, announced: bool = True) -> None:
    """Assert that a copy states what was sealed, and what the catalogue has of it."""
    status = house.changes.look(house.tenant, recording)
    assert copy.row == status.row == row_of(house, recording)
    assert copy.manifest == status.chain.manifest
    assert copy.terms == status.terms
    assert copy.amendments == tuple(status.chain.amendments)
    assert copy.announced == announced


def put(house: House, recording: str, data: Data, at: datetime) -> None:
    """Put an amendment that is dated ``at``, which nobody could enter then, and list it."""
    forge(house, recording, data, at)
    chain = house.changes.look(house.tenant, recording).chain
    amendments.list_amendments(chain, house.trust, now=house.clock(), entropy=house.entropy)


def check_withheld(copy: RecordingCopy) -> None:
    assert (copy.name, copy.length, copy.sound) == ("", 0, None)


def read(copy: RecordingCopy) -> bytes:
    assert copy.sound is not None
    return b"".join(copy.sound())


def test_copy_has_the_sealed_facts_and_every_byte(house, gate, admin, request_, decide) -> None:
    recording = put_small(house)
    amend(
        house.changes.agree, house.tenant, recording, OPERATOR, purpose="training", keep_days=60, reason="…"
    )
    decide(request_, recording, "both")
    copy = gate.copy(admin, request_, recording)
    check_facts(copy, house, recording)
    original = (house.folder / "sealing" / recording / SOUND).read_bytes()
    assert (copy.name, copy.length) == (SOUND, len(original))
    assert leaves(recording, reviews.EXPORTED) == [], "nothing was sent yet"
    assert read(copy) == original
    assert leaves(recording, reviews.EXPORTED) == [
        {
            "request": request_.id, "recording": recording, "channels": "both", "name": SOUND,
            "actor": admin.user,
        }
    ]  # fmt: skip


def test_copy_of_their_own_voice_has_zeros_for_the_other(
    house, gate, admin, recorded, request_, decide
) -> None:
    recording = recorded(formats=("opus",)).id
    decide(request_, recording, "own")
    copy = gate.copy(admin, request_, recording)
    check_facts(copy, house, recording)
    content = read(copy)
    assert (copy.name, copy.length) == (channel_mute.NAME, len(content))
    with wave.open(io.BytesIO(content)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, 2)
    assert samples[:, 0].any()
    assert not samples[:, 1].any()
    assert [body["channels"] for body in leaves(recording, reviews.EXPORTED)] == ["own"]


def test_recording_that_was_not_reviewed_is_not_given(house, gate, admin, request_) -> None:
    recording = put_small(house)
    with refused("subject_request.not_reviewed"):
        gate.copy(admin, request_, recording)
    reviews.note_start(house.tenant, request_.id, recording, admin.user, house.clock(), house.entropy)
    assert reviews.reviews_of(house.tenant, request_.id)[recording].given is None
    with refused("subject_request.not_reviewed"):
        gate.copy(admin, request_, recording)
    assert leaves(recording, reviews.EXPORTED) == []


def test_unannounced_recording_needs_a_decision_with_a_reason(house, gate, admin, request_, decide) -> None:
    recording = put_small(house, announced=False)
    copy = gate.copy(admin, request_, recording)
    check_facts(copy, house, recording, announced=False)
    check_withheld(copy)
    set_announced(recording, True)  # by its row, it could be given without a reason
    decide(request_, recording, "both")
    set_announced(recording, False)
    with refused("subject_request.unannounced"):
        gate.copy(admin, request_, recording)
    decide(request_, recording, "both", "They asked for it by letter")
    copy = gate.copy(admin, request_, recording)
    check_facts(copy, house, recording, announced=False)
    assert len(read(copy)) == copy.length > 0


def set_announced(recording: str, announced: bool) -> None:
    with writing():
        RecordingTable.update(announced=announced).where(RecordingTable.id == recording).execute()


def test_imported_recording_counts_as_announced_once_its_purpose_is_stated(
    house, gate, ask, tmp_path
) -> None:
    customer = house.customer("Notaire", "+3225550177")
    person = house.person(customer, "anne", "Anne", role="customer_admin")
    speech(tmp_path / "one.wav", channels=2)
    table(tmp_path, [{"file": "one.wav", "began_at": "2026-09-01T10:15:00", "number": "0470 12 34 56"}])
    (imported,) = bring(house, customer, tmp_path)
    request = service.find_copy_request(customer.id, ask(customer.id))
    anne = Actor(person.id, customer.id, person.role, "fr")
    copy = gate.copy(anne, request, imported.recording)
    assert not copy.announced
    check_withheld(copy)
    options = {"purpose": "agreement", "keep_days": 365, "reason": "Their letter of 2 September"}
    amend(house.changes.agree, customer.id, imported.recording, OPERATOR, **options)
    with refused("subject_request.not_reviewed"):
        gate.copy(anne, request, imported.recording)
    reviews.decide(
        customer.id, request.id, imported.recording, decision="withheld", why="…", who=person.id,
        now=house.clock(), entropy=house.entropy,
    )  # fmt: skip
    assert gate.copy(anne, request, imported.recording).announced


def test_withheld_sound_leaves_the_facts(house, gate, admin, request_, decide) -> None:
    recording = put_small(house)
    decide(request_, recording, "withheld", "A third person speaks of their health")
    copy = gate.copy(admin, request_, recording)
    check_facts(copy, house, recording)
    check_withheld(copy)


def test_recording_that_is_being_destroyed_is_not_given(house, gate, admin, request_, decide) -> None:
    recording = put_small(house)
    decide(request_, recording, "both")
    assert gate.copy(admin, request_, recording).terms.deleted_at is None
    amend(house.changes.delete, house.tenant, recording, OPERATOR, reason="not needed")
    assert house.changes.look(house.tenant, recording).terms.deleted_at == house.clock()
    with refused("access.erased"):
        gate.copy(admin, request_, recording)
    assert refusals(recording) == ["access.erased"]
    house.clock.forward(days=400)
    with refused("access.erased"):
        gate.copy(admin, request_, recording)


@pytest.mark.parametrize("far", ["key", "tombstone"])
def test_copy_of_what_is_destroyed_meanwhile_is_refused(
    house, gate, admin, request_, decide, far, monkeypatch
) -> None:
    recording = put_small(house)
    decide(request_, recording, "both")
    copy = gate.copy(admin, request_, recording)
    amend(house.changes.delete, house.tenant, recording, OPERATOR, reason="not needed")
    if far == "key":  # the objects are gone, the row does not say so yet
        monkeypatch.setattr(recordings, "make_tombstone", lambda *_, **__: False)
    expiry.destroy_due(house.services, house.clock())
    with refused("access.erased"):
        read(copy)
    assert leaves(recording, "seal.broken") == []
    assert leaves(recording, reviews.EXPORTED) == []


def test_recording_that_will_be_deleted_later_is_given(house, gate, admin, request_, decide) -> None:
    recording = put_small(house)
    decide(request_, recording, "both")
    put(house, recording, DeletionRequested("not needed"), house.clock() + timedelta(minutes=1))
    copy = gate.copy(admin, request_, recording)
    assert copy.terms.deleted_at == house.clock() + timedelta(minutes=1)
    check_facts(copy, house, recording)
    house.clock.forward(minutes=1)
    with refused("access.erased"):
        gate.copy(admin, request_, recording)


def hold_set(at: datetime) -> HoldSet:
    return HoldSet(("agreement",), "ada", "a dispute", at + timedelta(days=90))


def erasure_deferred(at: datetime) -> ErasureDeferred:
    return ErasureDeferred("dispute", at + timedelta(days=90), ("agreement",))


@pytest.mark.parametrize(("keep", "ends"), [(hold_set, False), (erasure_deferred, True)])
def test_deleted_recording_that_is_kept_for_a_dispute_is_given(
    house, gate, admin, request_, decide, keep, ends
) -> None:
    recording = put_small(house)
    decide(request_, recording, "both")
    at = house.clock()
    put(house, recording, DeletionRequested("not needed"), at)
    put(house, recording, keep(at), at)
    check_facts(gate.copy(admin, request_, recording), house, recording)
    house.clock.forward(days=90)
    if ends:
        with refused("access.erased"):
            gate.copy(admin, request_, recording)
    else:
        check_facts(gate.copy(admin, request_, recording), house, recording)


def test_expired_recording_is_still_theirs(house, gate, admin, request_, decide) -> None:
    recording = put_small(house)
    decide(request_, recording, "both")
    house.clock.at = row_of(house, recording).keep_until
    copy = gate.copy(admin, request_, recording)
    check_facts(copy, house, recording)
    assert read(copy)


@pytest.mark.parametrize("role", ["customer", "auditor"])
def test_only_an_admin_gives_copies(house, gate, somebody, ask, request_, decide, role) -> None:
    recording = put_small(house)
    decide(request_, recording, "both")
    person = somebody(role)
    erasure = service.find_erasure_request(house.tenant, ask(), house.clock())
    for attempt in (
        lambda: gate.copy(person, request_, recording),
        lambda: gate.check_theirs(person, erasure, recording),
    ):
        with refused("access.purpose_not_for_role"):
            attempt()
    assert refusals(recording) == ["access.purpose_not_for_role"] * 2


def test_recording_of_another_number_is_not_theirs(house, gate, admin, ask, request_, decide) -> None:
    mine, theirs, internal = (
        put_small(house, external_party=party) for party in (CALLER, OTHER, Party("extension", CALLER.value))
    )
    erasure = service.find_erasure_request(house.tenant, ask(), house.clock())
    gate.check_theirs(admin, erasure, mine)
    assert refusals(mine) == []
    for recording in (theirs, internal):
        with refused("subject_request.not_theirs"):
            gate.copy(admin, request_, recording)
        with refused("subject_request.not_theirs"):
            gate.check_theirs(admin, erasure, recording)
        assert refusals(recording) == ["subject_request.not_theirs"] * 2


def test_request_at_another_customer_discloses_nothing(house, gate, admin, stranger, ask) -> None:
    recording = put_small(house)
    request = ask(stranger.tenant)
    copy_request = service.find_copy_request(stranger.tenant, request)
    erasure = service.find_erasure_request(stranger.tenant, request, house.clock())
    for attempt in (
        lambda: gate.copy(admin, copy_request, recording),
        lambda: gate.check_theirs(admin, erasure, recording),
    ):
        with refused("subject_request.not_theirs"):
            attempt()
    assert refusals(recording) == ["subject_request.not_theirs"] * 2


def test_sealed_number_decides_whose_it_is(house, gate, admin, ask) -> None:
    theirs = put_small(house, external_party=OTHER)
    with writing():
        RecordingTable.update(external_value=CALLER.value).where(RecordingTable.id == theirs).execute()
    erasure = service.find_erasure_request(house.tenant, ask(), house.clock())
    with pytest.raises(SealError):
        gate.check_theirs(admin, erasure, theirs)


def test_decision_that_nobody_signed_gives_nothing(house, gate, admin, request_, decide) -> None:
    recording = put_small(house)
    decide(request_, recording, "both", signed=False)
    with capture_logs() as logs, refused("subject_request.not_logged"):
        gate.copy(admin, request_, recording)
    (line,) = [line for line in logs if line["event"] == "disclosure.refused"]
    assert (line["recording"], line["request"]) == (recording, request_.id)


def test_nothing_is_sent_once_the_user_has_left(house, gate, admin, somebody, request_, decide) -> None:
    somebody("customer_admin")  # the last one cannot leave
    recording = put_small(house)
    decide(request_, recording, "both")
    copy = gate.copy(admin, request_, recording)
    users.revoke_user(house.tenant, admin.user, now=house.clock(), entropy=house.entropy)
    with refused("access.revoked"):
        read(copy)
    assert leaves(recording, reviews.EXPORTED) == []


@pytest.mark.parametrize(
    ("decision", "why", "error_id"),
    [
        ("withheld", "A third person speaks", "subject_request.not_reviewed"),
        (None, "", "subject_request.closed"),
    ],
)
def test_nothing_is_sent_once_the_decision_or_the_request_has_ended(
    house, gate, admin, request_, decide, decision, why, error_id
) -> None:
    recording = put_small(house)
    decide(request_, recording, "both")
    copy = gate.copy(admin, request_, recording)
    house.clock.forward(minutes=1)
    if decision is None:
        when = {"now": house.clock(), "entropy": house.entropy}
        service.close(house.tenant, request_.id, how="answered", who=None, **when)
    else:
        decide(request_, recording, decision, why)
    with refused(error_id):
        read(copy)
    assert leaves(recording, reviews.EXPORTED) == []


def test_damaged_sound_is_reported_before_anything_is_sent(house, gate, admin, request_, decide) -> None:
    recording = put_small(house)
    decide(request_, recording, "both")
    copy = gate.copy(admin, request_, recording)
    place = house.bucket / (row_of(house, recording).prefix + SOUND)
    content = place.read_bytes()
    place.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(SealError):
        read(copy)
    (body,) = leaves(recording, "seal.broken")
    assert (body["user"], body["object"]) == (admin.user, SOUND)


def test_recording_without_a_sound_is_none(house, gate, admin, request_, decide) -> None:
    recording = put_small(house, names=("peaks",))
    decide(request_, recording, "both")
    with refused("access.no_sound"):
        gate.copy(admin, request_, recording)
