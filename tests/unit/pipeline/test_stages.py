from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import soundfile

from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.prompt_files import sha256_of
from recorder.catalogue.tables.announcement import SoundTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain.line_policy import Keep
from recorder.domain.markers import Marker
from recorder.domain.sentences import TimedSentence
from recorder.errors import CatalogueError, StoreError, TakeError
from recorder.pipeline import stages
from recorder.seal import keyring
from recorder.seal.keyring import data_key_path, tenant_key_path
from recorder.spool import layout
from recorder.store.contract import Conflict, Unreachable
from tests.encoder_cache import encode_once
from tests.expected_errors import expect_error
from tests.house import wav_of


def test_take_becomes_objects_row_and_leaf(house) -> None:
    folder = house.take()
    assert [stages.next_stage(folder) for _ in _stages(house, folder)] == [
        "encode",
        "seal",
        "store",
        "catalogue",
    ]
    assert list(house.spool.iterdir()) == []
    row = queries.recording(house.tenant, folder.name)
    names = ("audio.opus", "audio.wav", "manifest.json", "peaks")
    keys = (data_key_path(house.tenant, row.id), tenant_key_path(house.tenant))
    assert house.objects() == sorted([*(row.prefix + name for name in names), *keys])
    assert row.announced
    assert row.purposes == ("agreement",)
    assert row.keep_until == row.started_at + timedelta(days=30)
    assert {each.name for each in row.objects} == {"audio.opus", "audio.wav", "peaks"}
    assert (row.external_party.value, row.internal_party.value) == ("+32470123456", "1001")
    assert _kinds(row.id) == ["recording.stored"]


def test_uploads_the_key_first_and_the_manifest_last(house) -> None:
    put: list[str] = []
    folder = house.take()
    means = replace(house.services, boundary=put.append)
    while stages.step(folder, house.clock(), means):
        pass
    assert put == [
        "encoded",
        "sealed",
        f"put {folder.name}.json",
        "put audio.opus",
        "put audio.wav",
        "put peaks",
        "put manifest.json",
        "stored",
        "catalogued",
        "removed",
    ]


def test_missing_announcement_grants_no_purpose(house) -> None:
    folder = house.take(announced=False)
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    assert not row.announced
    assert row.purposes == ()
    assert timedelta(days=30) <= row.keep_until - row.started_at < timedelta(days=30, minutes=5)


def test_unanswered_call_never_leaves_the_spool(house) -> None:
    folder = house.take(bridged=False)
    assert stages.next_stage(folder) == "note"
    assert not stages.step(folder, house.clock(), house.services)
    assert not folder.exists()
    assert house.objects() == []
    (row,) = queries.not_recorded(house.tenant).rows
    assert (row.id, row.reason) == (folder.name, "never_connected")


def test_unobserved_bridge_keeps_the_take(house) -> None:
    folder = house.take(bridged=False)
    layout.append_marker(folder, Marker(house.clock(), "unobserved_from"))
    assert stages.next_stage(folder) == "encode"


def test_lists_an_unrecorded_call(house) -> None:
    folder = house.unrecorded("announcement_failed")
    house.work(folder)
    (row,) = queries.not_recorded(house.tenant).rows
    assert (row.id, row.reason, row.external_party.value) == (
        folder.name,
        "announcement_failed",
        "+32470123456",
    )
    assert list(house.spool.iterdir()) == []


@pytest.mark.parametrize("tenant", [None, "01930000-0000-7000-8000-0000000000ff"])
def test_lists_a_call_without_a_tenant(house, tenant) -> None:
    folder = house.unrecorded("no_line", tenant=tenant, line=None, announcement=None)
    house.work(folder)
    assert not folder.exists()
    assert queries.not_recorded(house.tenant).rows == ()


def test_ignores_a_live_call(house) -> None:
    folder = layout.open_take(house.spool, house.start())
    assert stages.next_stage(folder) is None
    assert not stages.step(folder, house.clock(), house.services)
    assert folder.exists()


def _break_audio(folder) -> None:
    (folder / layout.AUDIO).write_bytes(b"RIFF")


def _break_end(folder) -> None:
    (folder / layout.END).write_bytes(b"{")


def _break_start(folder) -> None:
    (folder / layout.CALL).write_bytes(b"{}")


def _exchange(folder) -> None:
    start = json.loads((folder / layout.CALL).read_bytes())
    (folder / layout.CALL).write_text(json.dumps(start | {"recording": "another"}))


@pytest.mark.parametrize(
    ("damage", "reason", "theirs"),
    [
        (_break_audio, "take.impossible", True),
        (_break_end, "spool.broken", True),
        (_break_start, "spool.broken", False),
        (_exchange, "take.foreign", False),
    ],
)
def test_quarantines_an_impossible_take(house, damage, reason, theirs) -> None:
    folder = house.take()
    damage(folder)
    assert not stages.step(folder, house.clock(), house.services)
    aside = house.spool / layout.QUARANTINE / folder.name
    note = json.loads((aside / "quarantine.json").read_bytes())
    assert note["reason"] == reason
    assert note["until"] == "2026-12-25T09:00:00.000Z"
    assert (aside / layout.AUDIO).exists()
    assert list(layout.finished_takes(house.spool)) == []
    rows = queries.not_recorded(house.tenant).rows
    assert [(row.id, row.reason) for row in rows] == ([(folder.name, reason)] if theirs else [])
    assert house.objects() == []


@pytest.mark.parametrize("name", [layout.CALL, layout.EVENTS, layout.END])
def test_read_failure_delays_the_take(house, name) -> None:
    folder = house.take()
    (folder / name).rename(folder / "elsewhere")
    (folder / name).mkdir()
    assert stages.next_stage(folder) == "note"
    with pytest.raises((OSError, TakeError)):
        stages.step(folder, house.clock(), house.services)
    (folder / name).rmdir()
    (folder / "elsewhere").rename(folder / name)
    house.work(folder)
    assert len(queries.recordings(house.tenant).rows) == 1


def test_quarantines_a_take_without_a_line(house) -> None:
    folder = house.take(line=None)
    house.work(folder)
    assert (house.spool / layout.QUARANTINE / folder.name).exists()


def test_missing_announcement_sound_delays_the_take(house) -> None:
    folder = house.take(announcement=replace(house.announcement, sha256="0" * 64))
    with expect_error(TakeError, "take.no_prompt"):
        stages.step(folder, house.clock(), house.services)
    assert folder.exists()


@pytest.mark.parametrize("known", [True, False])
def test_locates_a_question_by_the_sound_of_the_catalogue(house, known) -> None:
    at = np.arange(2 * 8000)
    sweep = (8000 * np.sin(2 * np.pi * (300 + at * 0.02) * at / 8000)).astype("<i2")
    (house.folder / "sweep.wav").write_bytes(wav_of(sweep))
    wav = (house.folder / "sweep.wav").read_bytes()
    question = TimedSentence("May we keep it?", hashlib.sha256(wav).hexdigest(), 2000)
    if known:
        with writing():
            SoundTable.create(sha256=question.sha256, wav=wav, duration_ms=2000, created_at=house.clock())
    folder = house.take(talk_ms=20_000, keep=Keep("agreement", 365, question, *[question] * 4))
    bridge_time = next(marker.at for marker in layout.read_markers(folder) if marker.kind == "bridged")
    begin = (bridge_time - house.clock()) // timedelta(milliseconds=1) * 8 + 5 * 8000
    samples, _ = soundfile.read(folder / layout.AUDIO, dtype="int16")
    samples[begin : begin + len(sweep), 1] = sweep
    (folder / layout.AUDIO).write_bytes(wav_of(samples))
    for second, kind, data in (
        (5, "keep_question_asked", {"how": "question"}),
        (7, "keep_question_heard", {}),
        (9, "keep_question_answered", {"answer": "yes", "by": "external", "how": "key"}),
    ):
        layout.append_marker(folder, Marker(bridge_time + timedelta(seconds=second), kind, data))
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    assert row.keep_answer == ("yes" if known else None)
    assert row.keep_until == row.started_at + timedelta(days=365 if known else 30)


def test_unknown_tenant_delays_the_take(house) -> None:
    folder = house.take(tenant="01930000-0000-7000-8000-0000000000ff")
    with expect_error(CatalogueError, "tenant.unknown"):
        house.work(folder)
    assert stages.next_stage(folder) == "seal"
    assert house.objects() == []


def test_unavailable_store_delays_the_take(house) -> None:
    class UnavailableStore:
        def __getattr__(self, _name):
            def away(*_args) -> None:
                raise Unreachable("store.unreachable", "nobody there", "try again")

            return away

    folder = house.take()
    away = replace(house.services, store=UnavailableStore())
    stages.step(folder, house.clock(), away)
    stages.step(folder, house.clock(), away)
    for _ in range(3):
        with pytest.raises(Unreachable):
            stages.step(folder, house.clock(), away)
    assert stages.next_stage(folder) == "store"
    assert (folder / layout.AUDIO).exists()
    assert queries.recordings(house.tenant).rows == ()
    house.work(folder)
    assert len(queries.recordings(house.tenant).rows) == 1


def test_a_take_that_a_file_says_is_stored_is_stored_first(house) -> None:
    folder = house.take()
    while stages.next_stage(folder) != "store":
        stages.step(folder, house.clock(), house.services, encode_once)
    (folder / layout.STORED).write_text("{}")
    with expect_error(StoreError, "take.not_stored"):
        stages.step(folder, house.clock(), house.services)
    assert (folder / layout.AUDIO).exists(), "the only copy"
    house.work(folder)
    assert not folder.exists()
    assert queries.recording(house.tenant, folder.name).prefix + "manifest.json" in house.objects()
    assert _kinds(folder.name).count("recording.stored") == 1


def test_encodes_again_after_damage(house) -> None:
    folder = house.take()
    stages.step(folder, house.clock(), house.services)
    opus = folder / "audio.opus"
    whole = opus.read_bytes()
    for damaged in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        opus.write_bytes(damaged)
        assert stages.step(folder, house.clock(), house.services)
        assert stages.next_stage(folder) == "encode"
        stages.step(folder, house.clock(), house.services)
        assert opus.read_bytes() == whole


def test_never_replaces_a_different_object(house, tmp_path) -> None:
    folder = house.take()
    prefix = f"{house.tenant}/2026/11/25/{folder.name}/"
    strange = tmp_path / "strange"
    strange.write_bytes(b"strange")
    sha256 = sha256_of(b"strange")
    house.services.store.put(prefix + "manifest.json", strange, sha256)
    with pytest.raises(Conflict):
        house.work(folder)
    assert stages.next_stage(folder) == "store"
    assert queries.recordings(house.tenant).rows == ()


def test_keeps_a_rewrapped_tenant_key(house) -> None:
    house.work(house.take())
    there = house.services.store.read(tenant_key_path(house.tenant))
    with writing():
        _wrap_anew(house)
    house.work(house.take())
    assert house.services.store.read(tenant_key_path(house.tenant)) == there
    assert len(queries.recordings(house.tenant).rows) == 2


def test_refuses_another_tenant_key(house) -> None:
    house.work(house.take())
    other = house.services.keyring.new_tenant_key(house.tenant, house.entropy)
    with writing():
        _set_tenant_key(house, other)
    folder = house.take()
    with pytest.raises(Exception, match="different keys") as failure:
        house.work(folder)
    assert failure.value.error_id == "store.other_tenant_key"


def _set_tenant_key(house, wrapped) -> None:
    TenantTable.update(wrapped_key=wrapped.to_bytes().decode()).where(
        TenantTable.id == house.tenant
    ).execute()


def _wrap_anew(house) -> None:
    """The same key, wrapped by the same key-encryption key with another nonce."""
    old = keyring.WrappedKey.from_bytes(tenant_queries.tenant_wrapped_key(house.tenant).encode())
    secret = house.services.keyring.open_tenant_key(old)
    kek = keyring.load_kek(house.folder / "keys" / "kek")
    _set_tenant_key(house, keyring._wrap(kek, secret, keyring.TENANT, house.tenant, None, house.entropy))


def _stages(house, folder):
    """Perform one stage after another. Returns the stages."""
    while True:
        yield None
        if not stages.step(folder, house.clock(), house.services):
            return


def _kinds(recording: str) -> list[str]:
    with connected():
        return [leaf.kind for leaf in LeafTable.select().where(LeafTable.recording_id == recording)]
