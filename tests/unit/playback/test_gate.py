"""The gate: who hears what, what is sent and counted, and what the log says about it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from peewee import fn

from recorder import metrics
from recorder.auditlog import append
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.grant import GrantTable, ListenTable
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.errors import AccessError, SealError
from recorder.features.offboarding import service as departures
from recorder.identity import api_tokens, users
from recorder.ids import uuid7
from recorder.lifecycle import expiry
from recorder.lifecycle.amendment_store import chain_of
from recorder.lifecycle.expired_recording import ExpiredRecording
from recorder.playback import grants
from recorder.playback.authorization import HINTS, Guard
from recorder.playback.interface import Actor
from recorder.processes.gate import PanelGate
from recorder.seal.amendment_kinds import EXPIRED
from recorder.store.contract import NotFound, Store, Unreachable
from tests.expected_errors import expect_error
from tests.tombstones import drop_key

TALK = 120_000
"""Milliseconds: enough that the WAV has many blocks."""


class ReadCounter:
    """A store that notes which ranges of audio were read."""

    def __init__(self, store: Store) -> None:
        self._store, self.read_of = store, []

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        if "audio." in key:
            self.read_of.append((start, end))
        return self._store.read(key, start, end)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_first_seek_reads_only_its_target(ada, recorded, house) -> None:
    recording, means = recorded(talk_ms=TALK), house.services
    store = ReadCounter(means.store)
    one, other = (PanelGate(store, means.keyring, means.root, now=house.clock) for _ in range(2))
    grant = one.grant(ada, recording.id, "agreement")
    assert store.read_of == [(0, 65_536)], "the grant has the header, with the block that it is checked in"
    for _ in ("first", "later"):
        store.read_of.clear()
        list(one.open(ada, grant.id, "audio.wav", "p").read(500_000, 565_536))
        assert store.read_of == [(7 * 65_536, 9 * 65_536)]
    store.read_of.clear()
    list(other.open(ada, grant.id, "audio.wav", "p").read(500_000, 565_536))
    assert store.read_of == [(0, 65_536), (7 * 65_536, 9 * 65_536)], "another panel's grant: the header first"


@pytest.mark.parametrize("fault", ["changed", "gone"])
def test_a_damaged_object_does_not_affect_the_others(gate, ada, recorded, house, fault) -> None:
    recording = recorded(formats=("opus", "wav"))
    file = next(house.folder.rglob(f"{recording.id}/audio.wav"))
    if fault == "gone":
        file.unlink()
    else:
        content = file.read_bytes()
        file.write_bytes(bytes([content[0], content[1] ^ 1]) + content[2:])
    grant = gate.grant(ada, recording.id, "agreement")
    assert "seal.broken" not in kinds(recording.id), "nobody has asked for that one"
    assert list(gate.open(ada, grant.id, "audio.opus", "p").read(0, 1000))
    counted = metrics.BROKEN_SEALS._value.get()
    with pytest.raises(SealError) as error:
        gate.open(ada, grant.id, "audio.wav", "p").read(500, 1000)
    assert error.value.error_id == {"changed": "seal.block", "gone": "seal.object_missing"}[fault]
    assert metrics.BROKEN_SEALS._value.get() == counted + 1
    assert body(recording.id, "seal.broken")["object"] == "audio.wav"


def test_an_announced_purpose_opens_the_audio(gate, ada, recording) -> None:
    (choice,) = gate.purposes(ada, recording.id)
    assert (choice.code, choice.allowed, choice.reason) == ("agreement", True, None)
    grant = gate.grant(ada, recording.id, "agreement")
    opened = gate.open(ada, grant.id, "audio.wav", "play-1")
    assert opened.media_type == "audio/wav"
    sound = b"".join(opened.read(0, opened.length))
    assert len(sound) == opened.length
    samples = np.frombuffer(sound[44:], "<i2").reshape(-1, 2)
    assert np.any(samples[:, 0])
    assert kinds(recording.id) == ["recording.stored", "grant.given", "listen.opened"]


def test_every_range_equals_that_part_of_the_whole(gate, ada, recorded) -> None:
    recording = recorded(talk_ms=TALK)
    grant = gate.grant(ada, recording.id, "agreement")
    opened = gate.open(ada, grant.id, "audio.wav", "p")
    whole = b"".join(opened.read(0, opened.length))
    for start, end in ((0, 1), (65_000, 66_000), (opened.length - 1, opened.length), (200_000, 900_000)):
        assert b"".join(opened.read(start, end)) == whole[start:end]
    assert all(len(piece) <= 65_536 for piece in opened.read(0, opened.length))


def test_counts_what_there_is_of_a_range_past_the_end(gate, ada, recording) -> None:
    opened = gate.open(ada, gate.grant(ada, recording.id, "agreement").id, "audio.wav", "p")
    pieces = opened.read(opened.length - 10, opened.length + 1000)
    next(pieces)
    assert counted() == 10


def test_opus_is_sent_as_webm_too(gate, ada, recorded) -> None:
    recording = recorded(formats=("opus",), talk_ms=500)
    sound = gate.open(ada, gate.grant(ada, recording.id, "agreement").id, "audio.webm")
    content = b"".join(sound.read(0, sound.length))
    assert (content[:4], sound.media_type) == (b"\x1a\x45\xdf\xa3", 'audio/webm; codecs="opus"')


def test_the_purpose_of_the_sessions_last_grant_is_preselected(gate, somebody, recorded, house) -> None:
    announced = replace(house.announcement, purposes=("agreement", "quality"))
    who, recording = somebody("customer_admin"), recorded(announcement=announced)
    assert gate.facts(who, recording.id).preselected is None
    gate.grant(who, recorded(announcement=announced).id, "quality")
    assert gate.facts(who, recording.id).preselected == "quality"


def test_appends_the_leaf_before_the_first_byte(gate, ada, recording, house) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    opened = gate.open(ada, grant.id, "audio.wav", "p")
    assert "listen.opened" not in kinds(recording.id), "opening is not listening"
    pieces = opened.read(0, opened.length)
    assert kinds(recording.id)[-1] == "listen.opened", "no piece has left yet"
    next(pieces)


def test_sends_nothing_without_a_leaf(gate, ada, recording, monkeypatch) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    opened = gate.open(ada, grant.id, "audio.wav", "p")

    def full(*_: object, **__: object) -> None:
        raise OSError("the log's disk is full")

    monkeypatch.setattr(grants, "append", full)
    with pytest.raises(OSError, match="full"):
        opened.read(0, opened.length)


def test_one_playback_is_one_listen_closed_with_the_bytes_sent(gate, ada, recorded) -> None:
    recording = recorded(talk_ms=TALK)
    grant = gate.grant(ada, recording.id, "agreement")
    for start, end in ((0, 1000), (1000, 250_000), (500, 600)):
        opened = gate.open(ada, grant.id, "audio.wav", "play-1")
        assert len(b"".join(opened.read(start, end))) == end - start
    with connected():
        (listen,) = ListenTable.select()
    assert listen.sent_bytes == 1000 + 249_000 + 100
    gate.close(ada, grant.id, "play-1")
    gate.close(ada, grant.id, "play-1")
    assert kinds(recording.id)[-2:] == ["listen.opened", "listen.closed"]
    assert body(recording.id, "listen.closed")["sent_bytes"] == 250_100
    list(gate.open(ada, grant.id, "audio.wav", "play-1").read(0, 10))
    assert kinds(recording.id)[-1] == "listen.opened", "a play that goes on after its end is another listen"


def test_a_disconnected_listener_is_counted_with_the_bytes_sent(gate, ada, recorded, house) -> None:
    recording = recorded(talk_ms=TALK)
    grant = gate.grant(ada, recording.id, "agreement")
    pieces = gate.open(ada, grant.id, "audio.wav", "p").read(0, 1_000_000)
    sent_bytes = sum(len(next(pieces)) for _ in range(5))
    assert counted() > sent_bytes, "ahead, while it goes on"
    pieces.close()
    assert counted() == sent_bytes
    assert grants.close_stale_listens(house.clock(), house.entropy) == 0
    house.clock.forward(minutes=16)
    assert grants.close_stale_listens(house.clock(), house.entropy) == 1
    assert body(recording.id, "listen.closed")["sent_bytes"] == sent_bytes


def test_counts_a_listener_who_drops_every_connection_after_one_piece(gate, ada, recorded) -> None:
    recording = recorded(talk_ms=TALK)
    grant = gate.grant(ada, recording.id, "agreement")
    sent_bytes = 0
    for start in range(0, 10 * 65_536, 65_536):
        pieces = gate.open(ada, grant.id, "audio.wav", "p").read(start, 10**6)
        sent_bytes += len(next(pieces))
        pieces.close()
    gate.close(ada, grant.id, "p")
    assert body(recording.id, "listen.closed")["sent_bytes"] == sent_bytes


def test_reading_on_after_a_close_is_another_listen(gate, ada, recorded, house) -> None:
    recording = recorded(talk_ms=TALK)
    grant = gate.grant(ada, recording.id, "agreement")
    opened = gate.open(ada, grant.id, "audio.wav", "p")
    pieces = opened.read(0, opened.length)
    gate.close(ada, grant.id, "p")
    first = body(recording.id, "listen.closed")["sent_bytes"]
    assert first == len(next(pieces)), "counted when the listen was closed, though not asked for yet"
    second = len(next(pieces))
    assert kinds(recording.id)[-1] == "listen.opened"
    second += sum(map(len, pieces))
    gate.close(ada, grant.id, "p")
    assert kinds(recording.id)[-3:] == ["listen.closed", "listen.opened", "listen.closed"]
    assert body(recording.id, "listen.closed")["sent_bytes"] == second
    assert first + second == opened.length


@pytest.mark.parametrize("read_count", [0, 1, 2, 9, 16, 20])
def test_a_close_by_another_panel_never_counts_fewer_bytes_than_sent(
    gate, ada, recorded, house, read_count
) -> None:
    recording = recorded(talk_ms=TALK)
    grant = gate.grant(ada, recording.id, "agreement")
    means = house.services
    other = PanelGate(means.store, means.keyring, means.root, now=house.clock, entropy=house.entropy)
    opened = gate.open(ada, grant.id, "audio.wav", "p")
    pieces = opened.read(0, opened.length)
    left = 0
    for number, piece in enumerate(pieces):
        left += len(piece)
        assert counted() >= left, "a panel that dies here leaves the right number behind"
        if number in (read_count, 2 * read_count + 1):
            other.close(ada, grant.id, "p")
            assert counted() >= left
    gate.close(ada, grant.id, "p")
    with connected():
        assert not ListenTable.select().where(ListenTable.closed_at.is_null()).count()
        rows = {row.id: row.sent_bytes for row in ListenTable.select()}
    assert closed(recording.id) == rows, "no leaf was overtaken by its row"
    assert sum(rows.values()) >= left == opened.length


def test_notices_a_closed_listen_within_seconds(gate, ada, recorded, house) -> None:
    recording = recorded(talk_ms=TALK)
    grant = gate.grant(ada, recording.id, "agreement")
    opened = gate.open(ada, grant.id, "audio.wav", "p")
    pieces = opened.read(0, opened.length)
    for _ in range(18):
        next(pieces)
    gate.close(ada, grant.id, "p")
    next(pieces)
    assert kinds(recording.id)[-1] == "listen.closed", "that piece was counted ahead"
    house.clock.forward(seconds=5)
    next(pieces)
    assert kinds(recording.id)[-1] == "listen.opened"
    pieces.close()


def test_opens_no_listen_under_an_ended_grant(gate, ada, recorded, house) -> None:
    recording = recorded(talk_ms=TALK)
    grant = gate.grant(ada, recording.id, "agreement")
    house.clock.forward(minutes=14, seconds=58)
    pieces = gate.open(ada, grant.id, "audio.wav", "p").read(0, 10**6)
    late = gate.open(ada, grant.id, "audio.wav", "q")
    next(pieces)
    house.clock.forward(seconds=2)
    assert grants.close_stale_listens(house.clock(), house.entropy) == 1
    refused(lambda: next(pieces), "access.grant_over")
    refused(lambda: late.read(0, 10), "access.grant_over")
    assert kinds(recording.id)[-4:] == ["listen.opened", "listen.closed", "access.refused", "access.refused"]


def test_long_audio_takes_few_writes(gate, ada, recorded, monkeypatch) -> None:
    recording = recorded(talk_ms=TALK)
    grant = gate.grant(ada, recording.id, "agreement")
    opened = gate.open(ada, grant.id, "audio.wav", "p")
    writes = []

    @contextmanager
    def one() -> Iterator[None]:
        writes.append(1)
        with writing():
            yield

    for module in (grants, append):
        monkeypatch.setattr(module, "writing", one)
    pieces = list(opened.read(0, opened.length))
    assert len(pieces) > 60
    assert len(writes) <= 3
    assert counted() == opened.length


def test_peaks_need_a_grant_and_are_no_listen(gate, ada, recording) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    opened = gate.open(ada, grant.id, "peaks")
    assert json.loads(b"".join(opened.read(0, opened.length)))
    assert kinds(recording.id)[-1] == "grant.given"


def test_shows_the_manifest_under_a_grant(gate, ada, recording) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    manifest = gate.manifest(ada, grant.id)
    assert manifest.recording == recording.id
    assert [each.code for each in manifest.purposes] == ["agreement"]
    assert gate.valid_grant(ada, grant.id) == grant


def test_a_calls_facts_contain_what_its_session_may_use(gate, ada, somebody, recording, house) -> None:
    facts = gate.facts(ada, recording.id)
    assert (facts.status.chain.manifest.recording, facts.status.row) == (recording.id, recording)
    assert [each.code for each in facts.choices] == ["agreement"]
    assert (facts.preselected, facts.grant) == ("agreement", None)
    gate.grant(ada, recording.id, "agreement")
    house.clock.forward(seconds=1)
    newest = gate.grant(ada, recording.id, "agreement")
    assert gate.facts(ada, recording.id).grant == newest
    assert gate.facts(somebody(), recording.id).grant is None
    house.clock.at = newest.until
    assert gate.facts(ada, recording.id).grant is None


@pytest.mark.parametrize("column", ["leaf", "manifest_sha256", "purpose"])
def test_a_calls_facts_contain_no_grant_that_opens_nothing(gate, ada, recording, column) -> None:
    gate.grant(ada, recording.id, "agreement")
    with writing():
        GrantTable.update({column: None if column == "leaf" else "0" * 64}).execute()
    assert gate.facts(ada, recording.id).grant is None


def test_a_calls_facts_contain_no_grant_for_a_purpose_that_has_ended(gate, ada, recording) -> None:
    gate.grant(ada, recording.id, "agreement")
    change(recording, restricted=["agreement"])
    assert gate.facts(ada, recording.id).grant is None


def test_admits_a_user_as_the_row_was_signed_last(gate, ada, house) -> None:
    before = users.user(house.tenant, ada.user)
    for check in (gate.check_user, gate.check_log_in):
        check(before)
        with pytest.raises(SealError):
            check(replace(before, role="customer_admin"))
    at = {"now": house.clock(), "entropy": house.entropy, "signer": house.services.signer}
    users.set_password(house.tenant, ada.user, "$argon2id$other", **at)
    gate.check_log_in(users.user(house.tenant, ada.user))
    with expect_error(SealError, "credential.superseded"):
        gate.check_log_in(before)


def test_admits_a_program_by_its_signed_token_until_that_is_revoked(gate, house) -> None:
    at = {"now": house.clock(), "entropy": house.entropy}
    tokens = [
        api_tokens.create(house.tenant, name=name, token_sha256=sha256, signer=house.services.signer, **at)
        for name, sha256 in (("till", "ab" * 32), ("archive", "cd" * 32))
    ]
    for each in tokens:
        gate.check_token(each)
    with pytest.raises(SealError):
        gate.check_token(replace(tokens[0], token_sha256="ef" * 32))
    assert api_tokens.revoke(house.tenant, tokens[0].id, **at)
    with expect_error(SealError, "credential.superseded"):
        gate.check_token(tokens[0])  # the row of before
    gate.check_token(tokens[1])


def test_refuses_an_unknown_object_name(gate, ada, recording) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    refused(lambda: gate.open(ada, grant.id, "../manifest.json"), "access.no_sound")


def test_a_grant_lasts_a_quarter_of_an_hour_but_not_past_the_purpose(gate, ada, recording, house) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    assert grant.until == house.clock() + timedelta(minutes=15)
    house.clock.at = recording.keep_until - timedelta(minutes=5)
    late = gate.grant(ada, recording.id, "agreement")
    assert late.until == recording.keep_until
    house.clock.forward(minutes=5)
    refused(lambda: gate.grant(ada, recording.id, "agreement"), "access.expired")
    refused(lambda: gate.open(ada, late.id, "audio.wav"), "access.grant_over")


def test_refuses_a_grant_that_lasts_longer_than_its_leaf_allows(gate, ada, recording, house) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    longest = house.clock() + grants.HOUR + grants.LASTS + grants.SLACK
    house.clock.at = longest - timedelta(minutes=5)
    with writing():
        GrantTable.update(until=longest).execute()
    gate.manifest(ada, grant.id)
    with writing():
        GrantTable.update(until=longest + timedelta(seconds=1)).execute()
    refused(lambda: gate.manifest(ada, grant.id), "access.grant_over")


def test_renews_only_a_valid_grant(gate, ada, recording, house) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    house.clock.forward(minutes=14)
    renewed = gate.renew(ada, grant.id)
    assert (renewed.id, renewed.purpose) == (grant.id, "agreement")
    assert renewed.until == house.clock() + timedelta(minutes=15)
    house.clock.forward(minutes=14)
    list(gate.open(ada, grant.id, "audio.wav").read(0, 10))
    house.clock.forward(minutes=2)
    refused(lambda: gate.renew(ada, grant.id), "access.grant_over")
    refused(lambda: gate.manifest(ada, grant.id), "access.grant_over")
    assert "grant.renewed" not in kinds(recording.id), "its first leaf lets it be renewed for an hour"


def test_renews_no_grant_that_ends_at_that_moment(gate, ada, recording, house, monkeypatch) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    lock = append.lock_tenant

    def lock_late(tenant: str) -> None:
        """Another process has ended the grant before this one gets the lock."""
        lock(tenant)
        GrantTable.update(ended_at=house.clock()).execute()

    monkeypatch.setattr(append, "lock_tenant", lock_late)
    refused(lambda: gate.renew(ada, grant.id), "access.grant_over")


def test_renews_no_grant_of_a_restored_user(gate, ada, recording, house) -> None:
    before = users.user(house.tenant, ada.user)
    grant = gate.grant(ada, recording.id, "agreement")
    gate.renew(ada, grant.id)
    users.revoke_user(house.tenant, ada.user, now=house.clock(), entropy=house.entropy, last_admin=True)
    with writing():  # a backup was restored: it has the row, and the log names its end
        UserTable.update(revoked_at=None, credential=before.credential).execute()
    gate.manifest(ada, grant.id)
    for ask in (
        lambda: gate.renew(ada, grant.id),
        lambda: gate.grant(ada, recording.id, "agreement"),
        lambda: gate.purposes(ada, recording.id),
    ):
        refused(ask, "access.revoked")


@pytest.mark.parametrize("purposes", [["agreement"], ["agreement", "quality"]])
def test_the_log_says_which_purpose_was_preselected(gate, somebody, recorded, house, purposes) -> None:
    announced = replace(house.announcement, purposes=tuple(purposes))
    recording, who = recorded(announcement=announced), somebody("customer_admin")
    for code in reversed(purposes):
        expected = gate.facts(who, recording.id).preselected == code
        gate.grant(who, recording.id, code)
        assert body(recording.id, "grant.given").get("preselected", False) is expected


def test_appends_one_leaf_an_hour_with_the_number_of_renewals(gate, ada, recording, house) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    for _ in range(14):
        house.clock.forward(minutes=10)
        gate.renew(ada, grant.id)
    assert kinds(recording.id).count("grant.renewed") == 2
    assert body(recording.id, "grant.renewed")["renewals"] == 6


def test_checks_the_grant_again_while_sending(gate, ada, recorded, house) -> None:
    recording = recorded(talk_ms=TALK)
    grant = gate.grant(ada, recording.id, "agreement")
    pieces = gate.open(ada, grant.id, "audio.wav", "p").read(0, 2_000_000)
    next(pieces)
    house.clock.forward(minutes=16)
    refused(lambda: [next(pieces), next(pieces)], "access.grant_over")


def test_accepts_a_close_after_the_grant_has_ended(gate, ada, recording, house) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    list(gate.open(ada, grant.id, "audio.wav", "p").read(0, 10))
    house.clock.forward(minutes=16)
    gate.close(ada, grant.id, "p")
    gate.close(ada, grant.id, "p")
    gate.close(ada, grant.id, "never began")
    assert kinds(recording.id)[-2:] == ["listen.opened", "listen.closed"]
    assert refusals() == []
    refused(lambda: gate.close(ada, "01930000-0000-7000-8000-000000000000", "p"), "access.grant_over")
    assert refusals() == ["access.grant_over"]


def test_a_grant_belongs_to_one_user(gate, ada, recording, somebody, stranger) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    for other in (somebody("customer_admin"), stranger, replace(ada, user=stranger.user)):
        for ask in (
            lambda other=other: gate.open(other, grant.id, "audio.wav"),
            lambda other=other: gate.renew(other, grant.id),
            lambda other=other: gate.manifest(other, grant.id),
            lambda other=other: gate.valid_grant(other, grant.id),
            lambda other=other: gate.close(other, grant.id, "p"),
        ):
            with pytest.raises(AccessError) as error:
                ask()
            assert error.value.error_id in {"access.grant_over", "access.revoked"}


def test_another_tenants_id_and_an_unknown_one_give_the_same_answer(gate, stranger, recording) -> None:
    answers = []
    for identity in (recording.id, "01930000-0000-7000-8000-000000000000", "\x00", "x" * 5000, "\ud800", ""):
        for ask in (
            lambda i=identity: gate.purposes(stranger, i),
            lambda i=identity: gate.grant(stranger, i, "agreement"),
        ):
            with pytest.raises(AccessError) as error:
                ask()
            answers.append((error.value.error_id, error.value.message, error.value.hint))
    assert set(answers) == {("access.not_found", "there is no such recording", HINTS["access.not_found"])}
    assert kinds(recording.id) == ["recording.stored"], "nothing of it in the owner's leaves"
    with connected():
        mine = LeafTable.select().where(LeafTable.tenant == stranger.tenant)
        assert [leaf.kind for leaf in mine].count("access.refused") == len(answers)


@pytest.mark.parametrize(
    ("purpose", "error_id"),
    [("quality", "access.purpose_not_announced"), ("\ud800" * 500, "access.purpose_not_announced")],
)
def test_refuses_and_logs_an_unannounced_purpose(gate, ada, recording, purpose, error_id) -> None:
    refused(lambda: gate.grant(ada, recording.id, purpose), error_id)
    refusal = body(recording.id, "access.refused")
    assert (refusal["user"], refusal["reason"]) == (ada.user, error_id)


def test_refuses_a_role_that_the_purpose_does_not_name(gate, somebody, recording) -> None:
    from recorder.domain.roles import ROLES
    from recorder.prompts.purposes import standard

    outside = sorted(set(ROLES) - standard()["agreement"].roles)
    assert outside, "some role must be outside for this test to say anything"
    for role in [*outside, "root", ""]:
        who = replace(somebody("customer"), role=role)
        (choice,) = gate.purposes(who, recording.id)
        assert (choice.allowed, choice.reason) == (False, "access.purpose_not_for_role")
        refused(lambda who=who: gate.grant(who, recording.id, "agreement"), "access.purpose_not_for_role")


def test_refuses_a_recording_without_an_announcement(gate, somebody, recorded) -> None:
    recording = recorded(announced=False)
    who = somebody("customer_admin")
    assert gate.purposes(who, recording.id) == ()
    refused(lambda: gate.grant(who, recording.id, "agreement"), "access.not_announced")


def test_a_row_can_only_narrow(gate, ada, recording, house) -> None:
    change(recording, purposes=["agreement", "quality"], keep_until=house.clock() + timedelta(days=999))
    assert [choice.code for choice in gate.purposes(ada, recording.id)] == ["agreement"]
    refused(lambda: gate.grant(ada, recording.id, "quality"), "access.purpose_not_announced")
    house.clock.forward(days=30)
    refused(lambda: gate.grant(ada, recording.id, "agreement"), "access.expired")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"restricted": ["agreement"]}, "access.purpose_restricted"),
        ({"purposes": []}, "access.purpose_restricted"),
        ({"announced": 0}, "access.purpose_restricted"),
        ({"keep_until": "2026-11-25T09:00:00.000Z"}, "access.expired"),
        ({"erased_at": "2026-11-25T09:00:00.000Z"}, "access.erased"),
    ],
)
def test_a_restriction_applies_at_once_even_under_a_grant(gate, ada, recording, row, reason) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    change(recording, **row)
    refused(lambda: gate.open(ada, grant.id, "audio.wav"), reason)
    refused(lambda: gate.renew(ada, grant.id), reason)
    refused(lambda: gate.grant(ada, recording.id, "agreement"), reason)


def test_refuses_a_revoked_user(gate, ada, recorded, house) -> None:
    recording = recorded(talk_ms=TALK)
    grant = gate.grant(ada, recording.id, "agreement")
    pieces = gate.open(ada, grant.id, "audio.wav", "p").read(0, 2_000_000)
    users.revoke_user(house.tenant, ada.user, now=house.clock(), entropy=house.entropy, last_admin=True)
    refused(lambda: gate.open(ada, grant.id, "audio.wav"), "access.revoked")
    refused(lambda: gate.grant(ada, recording.id, "agreement"), "access.revoked")
    refused(lambda: gate.purposes(ada, recording.id), "access.revoked")
    refused(lambda: gate.close(ada, grant.id, "p"), "access.revoked")
    house.clock.forward(seconds=6)
    refused(lambda: list(pieces), "access.revoked")


def test_the_end_of_a_session_ends_its_grants(gate, ada, recording, house) -> None:
    person = users.user(house.tenant, ada.user)

    def log_in(token: str) -> Actor:
        until = house.clock() + timedelta(hours=1)
        session = users.open_session(
            person, token_sha256=token, now=house.clock(), until=until, entropy=house.entropy
        )
        return replace(ada, session=session.id)

    here, there = log_in("one"), log_in("two")
    grant = gate.grant(here, recording.id, "agreement")
    assert gate.valid_grant(here, grant.id) == grant
    users.end_session(person, here.session, now=house.clock(), entropy=house.entropy)
    for who in (here, there, ada):
        refused(lambda who=who: gate.open(who, grant.id, "audio.wav"), "access.revoked")
    assert gate.grant(there, recording.id, "agreement")


def test_refuses_an_erased_recording(gate, ada, recording, house) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    means = house.services
    chain = chain_of(means.store, recording.prefix, means.root)
    expiry.destroy(ExpiredRecording(recording, chain, EXPIRED), means, house.clock())
    refused(lambda: gate.grant(ada, recording.id, "agreement"), "access.erased")
    refused(lambda: gate.open(ada, grant.id, "audio.wav"), "access.grant_over")


@pytest.mark.parametrize("erased", [True, False])
def test_what_is_erased_while_it_is_opened_is_not_broken(ada, recording, house, erased) -> None:
    class Race:
        """Another process erases the recording, or somebody deletes its manifest."""

        def read(self, key: str, *_: object) -> bytes:
            if erased:
                drop_key(recording)
            raise NotFound("store.not_found", key, "…")

    gate = PanelGate(Race(), house.keyring, house.root_public, now=house.clock, entropy=house.entropy)
    with pytest.raises(AccessError if erased else SealError) as failure:
        gate.grant(ada, recording.id, "agreement")
    assert failure.value.error_id == ("access.erased" if erased else "seal.manifest_missing")
    assert kinds(recording.id)[1:] == ["access.refused" if erased else "seal.broken"]


def test_knows_the_statement_about_a_customers_departure(house) -> None:
    guard = Guard(house.store, house.keyring, house.root_public, now=house.clock)
    assert guard.offboarding(house.tenant) is None
    departures.announce(house.office(), house.tenant, house.clock() + timedelta(days=30))
    statement = guard.offboarding(house.tenant)
    assert statement is not None
    assert guard.offboarding(str(uuid7(house.clock(), house.entropy))) is None


def test_gives_no_grant_while_the_store_is_unavailable(ada, recording, house) -> None:
    class Away:
        def read(self, *_: object) -> bytes:
            raise Unreachable("store.unreachable", "nobody there", "try again")

    gate = PanelGate(Away(), house.services.keyring, house.services.root, now=house.clock)
    with pytest.raises(Unreachable):
        gate.grant(ada, recording.id, "agreement")
    assert kinds(recording.id) == ["recording.stored"]


def test_leaves_name_nobody(gate, ada, recording) -> None:
    gate.grant(ada, recording.id, "agreement")
    with connected():
        for leaf in LeafTable.select():
            assert ada.user not in leaf.leaf
            assert recording.id not in leaf.leaf


def refused(ask, error_id: str) -> None:
    with expect_error(AccessError, error_id):
        ask()


def change(recording, **values) -> None:
    with writing():
        RecordingTable.update(**values).where(RecordingTable.id == recording.id).execute()


def kinds(recording: str) -> list[str]:
    with connected():
        query = LeafTable.select().where(LeafTable.recording_id == recording)
        return [leaf.kind for leaf in query.order_by(LeafTable.number)]


def closed(recording: str) -> dict[str, int]:
    """The bytes that the leaves state for each closed listen of a recording."""
    with connected():
        query = LeafTable.select().where(
            (LeafTable.recording_id == recording) & (LeafTable.kind == "listen.closed")
        )
        bodies = [json.loads(leaf.body) for leaf in query]
    assert len({each["listen"] for each in bodies}) == len(bodies)
    return {each["listen"]: each["sent_bytes"] for each in bodies}


def refusals() -> list[str]:
    with connected():
        query = LeafTable.select().where(LeafTable.kind == "access.refused")
        return [json.loads(leaf.body)["reason"] for leaf in query.order_by(LeafTable.number)]


def counted() -> int:
    """Bytes of all listens together."""
    with connected():
        return int(ListenTable.select(fn.SUM(ListenTable.sent_bytes)).scalar())


def body(recording: str, kind: str) -> dict[str, object]:
    with connected():
        query = LeafTable.select().where((LeafTable.recording_id == recording) & (LeafTable.kind == kind))
        return json.loads(query.order_by(LeafTable.number.desc()).first().body)
