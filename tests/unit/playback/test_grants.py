"""Grants and listens at their exact limits: times, counts, and what the log says about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recorder import metrics
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.grant import GrantTable, ListenTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import SLACK
from recorder.errors import AccessError, SealError, TooOften
from recorder.playback import audio_reader, grants, verified_recording
from recorder.playback import gate as gate_module
from recorder.playback.authorization import LOOK_AGAIN
from recorder.playback.interface import Grant
from recorder.processes.gate import PanelGate
from recorder.seal.amendment_chain import make_tombstone
from recorder.store.contract import Store
from tests.expected_errors import expect_error
from tests.stored_recordings import forge

TALK = 20_000
"""Milliseconds: enough for several blocks of WAV."""


class ReadLog:
    """A store that notes which objects were read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read_keys: list[str] = []

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        self.read_keys.append(key)
        return self._store.read(key, start, end)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def leaves(kind: str) -> int:
    with connected():
        return LeafTable.select().where(LeafTable.kind == kind).count()


def stored_grant(grant) -> Grant:
    """The grant as its row has it by now."""
    with connected():
        return grants.grant_of(GrantTable.get_by_id(grant.id))


def counted() -> list[int]:
    with connected():
        return [row.sent_bytes for row in ListenTable.select().order_by(ListenTable.id)]


def play(gate, who, grant, start: int = 0, end: int = 10, token: str = "p") -> int:
    return sum(map(len, gate.open(who, grant.id, "audio.wav", token).read(start, end)))


def test_limits_the_grants_of_a_user_within_an_hour(
    gate, ada, somebody, recording, house, monkeypatch
) -> None:
    monkeypatch.setattr(grants, "GRANTS_AN_HOUR", 2)
    for _ in range(2):
        gate.grant(ada, recording.id, "agreement")
        house.clock.forward(minutes=10)
    with pytest.raises(TooOften) as failure:
        gate.grant(ada, recording.id, "agreement")
    assert failure.value.after == 40 * 60
    assert gate.grant(somebody(), recording.id, "agreement"), "another user has a limit of their own"
    house.clock.forward(minutes=40, seconds=-1)
    with pytest.raises(TooOften) as failure:
        gate.grant(ada, recording.id, "agreement")
    assert failure.value.after == 1
    house.clock.forward(seconds=1)
    assert gate.grant(ada, recording.id, "agreement")


def test_ignores_grants_from_the_future_when_it_counts(gate, ada, recording, house, monkeypatch) -> None:
    monkeypatch.setattr(grants, "GRANTS_AN_HOUR", 1)
    house.clock.forward(seconds=SLACK.total_seconds() + 1)
    gate.grant(ada, recording.id, "agreement")
    house.clock.forward(seconds=-SLACK.total_seconds() - 1)
    gate.grant(ada, recording.id, "agreement")
    with pytest.raises(TooOften):
        gate.grant(ada, recording.id, "agreement")


def test_a_grant_is_valid_within_the_slack_of_clocks(gate, ada, recording, house) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    house.clock.at -= SLACK
    assert gate.valid_grant(ada, grant.id) == grant
    house.clock.forward(milliseconds=-1)
    with pytest.raises(AccessError):
        gate.valid_grant(ada, grant.id)
    house.clock.at = grant.until - timedelta(milliseconds=1)
    assert gate.valid_grant(ada, grant.id) == grant
    house.clock.at = grant.until
    with pytest.raises(AccessError):
        gate.valid_grant(ada, grant.id)


def test_limits_grants_that_are_an_hour_old(gate, ada, recording, house, monkeypatch) -> None:
    monkeypatch.setattr(grants, "OLD_GRANTS", 1)
    pair = [gate.grant(ada, recording.id, "agreement") for _ in range(2)]
    for _ in range(5):
        house.clock.forward(minutes=10)
        for each in pair:
            gate.renew(ada, each.id)
    house.clock.forward(minutes=10)
    with pytest.raises(TooOften) as failure:
        gate.renew(ada, pair[0].id)
    assert failure.value.after == grants.LASTS.total_seconds()
    assert leaves(grants.RENEWED) == 0


def test_one_old_grant_is_renewed_for_hours(gate, ada, recording, house, monkeypatch) -> None:
    monkeypatch.setattr(grants, "OLD_GRANTS", 1)
    grant = gate.grant(ada, recording.id, "agreement")
    for minute in range(10, 190, 10):
        house.clock.forward(minutes=10)
        gate.renew(ada, grant.id)
        assert leaves(grants.RENEWED) == minute // 60


def test_limits_renewals_within_an_hour(gate, ada, recording, house, monkeypatch) -> None:
    monkeypatch.setattr(grants, "RENEWALS_AN_HOUR", 2)
    grant = gate.grant(ada, recording.id, "agreement")
    for _ in range(2):
        house.clock.forward(minutes=10)
        gate.renew(ada, grant.id)
    house.clock.forward(minutes=10)
    with pytest.raises(TooOften) as failure:
        gate.renew(ada, grant.id)
    assert failure.value.after == 30 * 60


@pytest.mark.parametrize("column", ["leaf", "ended_at"])
def test_renews_no_grant_that_is_unlogged_or_ended(gate, ada, recording, house, column) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    with writing():
        GrantTable.update({column: None if column == "leaf" else house.clock()}).execute()
    until = house.clock() + grants.LASTS
    assert grants.renew(grant, until, now=house.clock(), entropy=house.entropy) is None


def test_a_grants_leaf_must_name_its_user_recording_and_purpose(gate, ada, somebody, recording) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    assert grants.is_logged(grant)
    other = somebody()
    with writing():
        GrantTable.update(user=other.user).execute()
    assert not grants.is_logged(stored_grant(grant))
    with pytest.raises(AccessError):
        gate.manifest(other, grant.id)


def test_limits_listens_of_a_grant(gate, ada, recording, house, monkeypatch) -> None:
    monkeypatch.setattr(grants, "LISTENS_A_GRANT", 1)
    grant = gate.grant(ada, recording.id, "agreement")
    play(gate, ada, grant)
    gate.close(ada, grant.id, "p")
    with pytest.raises(TooOften):
        play(gate, ada, grant)
    other = gate.grant(ada, recording.id, "agreement")
    assert play(gate, ada, other) == 10, "the limit is per grant"


def test_limits_listens_of_a_user(gate, ada, somebody, recording, house, monkeypatch) -> None:
    monkeypatch.setattr(grants, "LISTENS_AN_HOUR", 1)
    first = gate.grant(ada, recording.id, "agreement")
    play(gate, ada, first)
    gate.close(ada, first.id, "p")
    with pytest.raises(TooOften):
        play(gate, ada, gate.grant(ada, recording.id, "agreement"))
    bob = somebody()
    assert play(gate, bob, gate.grant(bob, recording.id, "agreement")) == 10, "the limit is per user"
    house.clock.forward(hours=1)
    assert play(gate, ada, gate.grant(ada, recording.id, "agreement")) == 10


def test_counts_nothing_on_a_listen_that_is_not_in_the_log(gate, ada, recording) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    play(gate, ada, grant)
    with writing():
        ListenTable.update(leaf=0).execute()
    assert play(gate, ada, grant) == 10
    assert counted() == [10, 10]
    with connected():
        assert ListenTable.select().where(ListenTable.closed_at.is_null()).count() == 1
    assert leaves(grants.OPENED) == 2


def test_joins_a_listen_that_another_process_opens(gate, ada, recording, house, monkeypatch) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    at = {"now": house.clock(), "entropy": house.entropy}
    lock, others = grants.lock_tenant, []

    def lock_late(tenant: str) -> None:
        """Another process has opened the grant's listen before this one gets the lock."""
        monkeypatch.setattr(grants, "lock_tenant", lock)
        others.append(grants.count_sent(grant, "other", "audio.wav", 5, **at))
        lock(tenant)

    monkeypatch.setattr(grants, "lock_tenant", lock_late)
    joined = grants.count_sent(grant, "p", "audio.wav", 10, **at)
    assert [joined] == others
    assert counted() == [15]
    assert leaves(grants.OPENED) == 1


def test_counts_a_small_range_at_once_and_a_larger_one_piece_by_piece(gate, ada, recorded, house) -> None:
    recording = recorded(talk_ms=TALK)
    grant = gate.grant(ada, recording.id, "agreement")
    pieces = gate.open(ada, grant.id, "audio.wav", "p").read(0, gate_module.SMALL)
    next(pieces)
    assert counted() == [gate_module.SMALL]
    pieces.close()
    gate.close(ada, grant.id, "p")
    house.clock.forward(seconds=1)
    pieces = gate.open(ada, grant.id, "audio.wav", "p").read(0, gate_module.SMALL + 1)
    first = len(next(pieces))
    assert counted()[1] == first
    pieces.close()


def test_a_check_in_between_counts_nothing_twice(gate, ada, recorded, house) -> None:
    recording = recorded(talk_ms=TALK)
    grant, before = gate.grant(ada, recording.id, "agreement"), metrics.LISTEN_BYTES._value.get()
    peaks, sound = (gate.open(ada, grant.id, name, "p") for name in ("peaks", "audio.wav"))
    assert list(peaks.read(0, peaks.length))
    assert metrics.LISTEN_BYTES._value.get() == before
    for _ in sound.read(0, sound.length):
        house.clock.forward(seconds=LOOK_AGAIN.total_seconds())
    assert counted() == [sound.length]
    assert metrics.LISTEN_BYTES._value.get() == before + sound.length


def test_closes_a_listen_once(gate, ada, recording, house) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    play(gate, ada, grant)
    listen = grants.listen_of(grant, "p")
    assert listen is not None
    assert grants.listen_of(grant, "another player") is None
    assert grants.is_open(listen)
    assert grants.close_listen(listen, now=house.clock(), entropy=house.entropy)
    assert not grants.close_listen(listen, now=house.clock(), entropy=house.entropy)
    assert not grants.is_open(listen)
    assert not grants.note_player_report(listen, [(0, 5)], list)
    grants.take_back(listen, 3, house.clock())
    assert counted() == [10], "the leaf has stated it"
    assert leaves(grants.CLOSED) == 1


def test_stores_what_the_player_reports(gate, ada, recording) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    gate.played(ada, grant.id, "p", "0-100")
    play(gate, ada, grant)
    gate.played(ada, grant.id, "p", "0-100")
    gate.played(ada, grant.id, "p", "50-200,300-400")
    with pytest.raises(ValueError, match="stretch"):
        gate.played(ada, grant.id, "p", "all of it")
    with connected():
        (row,) = ListenTable.select()
    assert row.listen_report == [[0, 200], [300, 400]]


def test_appends_a_broken_seal_once_an_hour(house, recording) -> None:
    def note(name: str) -> None:
        body = {"recording": recording.id, "object": name}
        now, entropy = house.clock(), house.entropy
        grants.note_broken_seal(house.tenant, body, recording=recording.id, now=now, entropy=entropy)

    note("audio.wav")
    house.clock.forward(minutes=59, seconds=59)
    note("audio.wav")
    assert leaves(grants.BROKEN) == 1
    note("peaks")
    assert leaves(grants.BROKEN) == 2
    house.clock.forward(seconds=1)
    note("audio.wav")
    assert leaves(grants.BROKEN) == 3


def test_closes_listens_whose_grant_has_ended(gate, ada, recording, house) -> None:
    grant = gate.grant(ada, recording.id, "agreement")
    play(gate, ada, grant)
    house.clock.at = grant.until - timedelta(milliseconds=1)
    assert grants.close_stale_listens(house.clock(), house.entropy) == 0
    house.clock.at = grant.until
    assert grants.close_stale_listens(house.clock(), house.entropy) == 1
    assert grants.stale_listens(house.clock()) == ()


def test_keeps_a_limited_number_of_headers(ada, recorded, house, monkeypatch) -> None:
    monkeypatch.setattr(audio_reader, "HEADERS", 1)
    first, second = recorded(talk_ms=TALK), recorded(talk_ms=TALK)
    store, means = ReadLog(house.store), house.services
    gate = PanelGate(store, means.keyring, means.root, now=house.clock, entropy=house.entropy)
    one = gate.grant(ada, first.id, "agreement")
    two = gate.grant(ada, second.id, "agreement")
    for grant, row, reads in ((two, second, 1), (one, first, 2)):
        store.read_keys.clear()
        play(gate, ada, grant, 200_000, 200_010)
        assert store.read_keys.count(row.prefix + "audio.wav") == reads


def test_keeps_a_limited_number_of_verified_manifests(ada, recorded, house, monkeypatch) -> None:
    monkeypatch.setattr(verified_recording, "CACHED", 1)
    first, second = recorded(), recorded()
    store, means = ReadLog(house.store), house.services
    gate = PanelGate(store, means.keyring, means.root, now=house.clock, entropy=house.entropy)
    one = gate.grant(ada, first.id, "agreement")
    two = gate.grant(ada, second.id, "agreement")
    for grant, row, reads in ((two, second, 0), (one, first, 1)):
        store.read_keys.clear()
        gate.manifest(ada, grant.id)
        assert store.read_keys.count(row.prefix + "manifest.json") == reads


def test_a_verified_manifest_opens_its_own_row_alone(house, recording) -> None:
    seals = verified_recording.RecordingVerifier(house.store, house.keyring, house.root_public)
    seals.open(recording, house.clock())
    assert seals.open_cached(recording, house.clock()).row == recording
    with expect_error(SealError, "seal.manifest_foreign"):
        seals.open_cached(replace(recording, prefix=f"{recording.prefix}x/"), house.clock())


def test_refuses_a_recording_whose_customers_key_is_gone(gate, ada, recording, house) -> None:
    with writing():
        TenantTable.update(wrapped_key="").where(TenantTable.id == house.tenant).execute()
    with expect_error(SealError, "seal.key_missing"):
        gate.grant(ada, recording.id, "agreement")


def test_reports_a_tombstone_that_the_catalogue_does_not_know(gate, ada, recording, house) -> None:
    chain = verified_recording.RecordingVerifier(house.store, house.keyring, house.root_public).open(
        recording, house.clock()
    )
    forge(house, recording.id, make_tombstone(chain.chain, "expired"), house.clock())
    with expect_error(AccessError, "access.erased"):
        gate.grant(ada, recording.id, "agreement")
    assert (leaves("access.refused"), leaves(grants.BROKEN)) == (1, 0)
