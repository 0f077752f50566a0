"""Imported recordings: imported once, and played by nobody until somebody states a purpose."""

from __future__ import annotations

import csv
import os
import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import av
import numpy as np
import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.domain.parties import Party
from recorder.errors import AccessError, RecordingImportError, RetentionError
from recorder.features.imports import service
from recorder.features.imports import table as import_table
from recorder.features.imports.service import Importer
from recorder.features.imports.table import ERASED, FAILED, IMPORTED, KNOWN, read_table
from recorder.features.recovery.rebuild import Rebuild
from recorder.lifecycle import expiry, recordings
from recorder.playback.interface import Actor
from recorder.seal.amendment import By
from recorder.seal.verification import verify
from recorder.store.contract import Unreachable
from tests.amendments import amend
from tests.expected_errors import expect_error
from tests.house import Customer, House

ZONE = ZoneInfo("Europe/Brussels")
OPERATOR = By("operator")


def speech(path: Path, channels: int = 1, rate: int = 8000, seconds: float = 1.0, hertz: float = 440) -> Path:
    at = np.arange(int(rate * seconds))
    tones = [(9000 * np.sin(2 * np.pi * hertz * (1 + each) * at / rate)) for each in range(channels)]
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(np.stack(tones, axis=1).astype("<i2").tobytes())
    return path


def encoded(path: Path, codec: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48_000)
        stream.layout = "stereo"
        tone = (9000 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)).astype("<i2")
        frame = av.AudioFrame.from_ndarray(
            np.stack([tone, tone], 1).reshape(1, -1), format="s16", layout="stereo"
        )
        frame.sample_rate = 48_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return path


def table(folder: Path, rows: list[dict[str, str]], delimiter: str = ",") -> Path:
    path = folder / "recordings.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, import_table.COLUMNS, delimiter=delimiter)
        out.writeheader()
        out.writerows(dict.fromkeys(import_table.COLUMNS, "") | row for row in rows)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    folder_of_old = tmp_path / "old"
    folder_of_old.mkdir()
    return folder_of_old


def bring(house: House, customer: Customer, folder: Path, **changes) -> list[import_table.ImportOutcome]:
    owner = queries.tenant(customer.id)
    good, bad = read_table(folder / "recordings.csv", folder, ZONE, house.clock())
    options = {
        "until": house.clock() + timedelta(days=60),
        "services": house.services,
        "formats": ("wav",),
    } | changes
    at_work = Importer(owner, **options)
    return [*bad, *(at_work.bring(each) for each in good)]


def paul(bakery: Customer) -> Actor:
    row = bakery.people["paul"]
    return Actor(row.id, row.tenant, row.role, row.language)


def listen(house: House, who: Actor, recording: str, purpose: str = "agreement") -> bytes:
    grant = house.gate.grant(who, recording, purpose)
    opened = house.gate.open(who, grant.id, "audio.wav", "a" * 22)
    return b"".join(opened.read(0, opened.length))


def test_an_import_is_listed_but_not_played_until_its_purpose_is_stated(house, bakery, folder, clock) -> None:
    speech(folder / "one.wav", channels=2)
    row = {"file": "one.wav", "began_at": "2026-09-01T10:15:00", "number": "0470 12 34 56"}
    table(folder, [row | {"line": "+3225550100", "direction": "outbound", "note": "Commande 12"}])
    (outcome,) = bring(house, bakery, folder)
    assert (outcome.what, outcome.error) == (IMPORTED, None)
    (found,) = queries.recordings(bakery.id, party="470123456").rows
    assert found.id == outcome.recording
    assert (found.external_party, found.number, found.line) == (
        Party("e164", "+32470123456"), "+3225550100", bakery.line.id,
    )  # fmt: skip
    assert found.started_at == datetime(2026, 9, 1, 8, 15, tzinfo=UTC), "in the customer's zone"
    assert (found.announced, found.usable, found.purposes) == (False, False, ())
    assert found.keep_until == house.clock() + timedelta(days=60)
    assert verify(house.store, found.prefix, house.root_public).ok
    assert house.gate.purposes(paul(bakery), found.id) == ()
    with expect_error(AccessError, "access.imported"):
        house.gate.grant(paul(bakery), found.id, "agreement")

    clock.forward(days=1)
    options = {"purpose": "agreement", "keep_days": 365, "reason": "Their letter of 2 September"}
    amend(house.changes.agree, bakery.id, found.id, By("user", bakery.people["paul"].id), **options)
    now_usable = queries.recording(bakery.id, found.id)
    assert now_usable.usable
    assert now_usable.keep_until == found.started_at + timedelta(seconds=1, days=365), "from the call on"
    assert len(listen(house, paul(bakery), found.id)) == 44 + 8000 * 4
    with connected():
        kinds = [leaf.kind for leaf in LeafTable.select().where(LeafTable.recording_id == found.id)]
    assert kinds[:3] == ["recording.stored", "access.refused", "recording.amended"]


def test_imports_a_file_once(house, bakery, folder, clock) -> None:
    speech(folder / "one.wav")
    speech(folder / "same.wav")
    at = {"began_at": "2026-09-01T10:15:00+02:00"}
    table(folder, [{"file": "one.wav"} | at, {"file": "same.wav", "began_at": "2026-09-02T10:15:00"}])
    first, second = bring(house, bakery, folder)
    assert (first.what, second.what) == (IMPORTED, KNOWN)
    assert first.recording == second.recording
    assert [each.what for each in bring(house, bakery, folder)] == [KNOWN, KNOWN]
    assert len(queries.recordings(bakery.id).rows) == 1

    clock.forward(days=61)
    assert expiry.destroy_due(house.services, house.clock()) == 1
    row = queries.recording(bakery.id, first.recording)
    assert row.erasure_reason == "not_announced"
    until = house.clock() + timedelta(days=60)
    assert [each.what for each in bring(house, bakery, folder, until=until)] == [ERASED, ERASED]
    assert queries.recordings(bakery.id).rows == ()


@pytest.mark.parametrize(
    ("name", "codec"),
    [("one.mp3", "mp3"), ("one.ogg", "libopus"), pytest.param("one.flac", "flac", marks=pytest.mark.long)],
)
def test_accepts_other_formats(house, bakery, folder, name, codec) -> None:
    encoded(folder / name, codec)
    table(folder, [{"file": name, "began_at": "2026-09-01T10:15:00"}], delimiter=";")
    (outcome,) = bring(house, bakery, folder)
    assert outcome.error is None
    assert 900 <= queries.recording(bakery.id, outcome.recording).duration_ms <= 1200


def test_reports_invalid_rows_and_imports_the_others(house, bakery, folder) -> None:
    speech(folder / "good.wav")
    (folder / "bad.wav").write_bytes(b"no sound at all")
    speech(folder / "many.wav", channels=3)
    at = {"began_at": "2026-09-01T10:15:00"}
    table(
        folder,
        [
            {"file": "bad.wav"} | at,
            {"file": "missing.wav"} | at,
            {"file": "../../etc/passwd"} | at,
            {"file": "good.wav", "began_at": "yesterday"},
            {"file": "good.wav", "began_at": "2999-01-01T00:00:00"},
            {"file": "good.wav", "direction": "sideways"} | at,
            {"file": "good.wav", "line": "the shop"} | at,
            {"file": "many.wav"} | at,
            {"file": "good.wav"} | at,
        ],
    )
    outcomes = sorted(bring(house, bakery, folder), key=lambda each: each.row)
    assert [each.what for each in outcomes] == [FAILED] * 8 + [IMPORTED]
    assert all(each.error.hint for each in outcomes[:-1])
    assert "line 3: there is no file missing.wav" in outcomes[1].error.message
    assert len(queries.recordings(bakery.id).rows) == 1
    (folder / "other.csv").write_text("file,when\n", "utf-8")
    with pytest.raises(RecordingImportError, match="no column began_at"):
        read_table(folder / "other.csv", folder, ZONE, house.clock())


def test_follows_no_playlist_to_another_file(house, bakery, folder, tmp_path) -> None:
    """FFmpeg used to choose the format by the content, and so read other files."""
    secret = encoded(tmp_path / "secret.mp3", "mp3")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{secret}\n#EXT-X-ENDLIST\n"
    (folder / "x.m3u8").write_text(playlist)
    speech(folder / "another.wav")
    (folder / "x.ffconcat").write_text("ffconcat version 1.0\nfile another.wav\n")
    (folder / "link.wav").symlink_to(secret)
    os.mkfifo(folder / "pipe.wav")
    at = {"began_at": "2026-09-01T10:15:00"}
    table(folder, [{"file": name} | at for name in ("x.m3u8", "x.ffconcat", "link.wav", "pipe.wav")])
    outcomes = bring(house, bakery, folder)
    assert {each.file: each.error.error_id for each in outcomes} == {
        "x.m3u8": "take.not_sound",
        "x.ffconcat": "take.not_sound",
        "link.wav": "import.row",
        "pipe.wav": "import.row",
    }
    assert queries.recordings(bakery.id).rows == ()
    assert list((house.folder / "spool" / service.FOLDER).iterdir()) == []
    assert not [key for key in house.store.list("") if "audio" in key]


def test_refuses_a_file_that_became_a_link(house, bakery, folder, tmp_path) -> None:
    speech(folder / "one.wav")
    table(folder, [{"file": "one.wav", "began_at": "2026-09-01T10:15:00"}])
    owner = queries.tenant(bakery.id)
    (each,), _ = read_table(folder / "recordings.csv", folder, ZONE, house.clock())
    os.unlink(folder / "one.wav")
    (folder / "one.wav").symlink_to(speech(tmp_path / "secret.wav"))
    at_work = Importer(owner, house.clock() + timedelta(days=9), house.services)
    assert at_work.bring(each).error.error_id == "import.file"
    assert queries.recordings(bakery.id).rows == ()


class Away:
    """A store that becomes unavailable after so many objects."""

    def __init__(self, store, puts: int) -> None:
        self._store, self.left = store, puts

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    def put(self, *args, **kwargs) -> None:
        if self.left == 0:
            raise Unreachable("store.unreachable", "it is away", "")
        self.left -= 1
        self._store.put(*args, **kwargs)


@pytest.mark.parametrize(
    "puts", [pytest.param(each, marks=() if each in (1, 3) else pytest.mark.long) for each in range(5)]
)
def test_resumes_after_an_interruption_without_duplicates(house, bakery, folder, clock, puts) -> None:
    from dataclasses import replace

    speech(folder / "one.wav")
    table(folder, [{"file": "one.wav", "began_at": "2026-09-01T10:15:00", "note": "Said so"}])
    away = replace(house.services, store=Away(house.store, puts))
    with pytest.raises(Unreachable):
        bring(house, bakery, folder, services=away)
    assert queries.recordings(bakery.id).rows == ()
    clock.forward(hours=1)
    (outcome,) = bring(house, bakery, folder)
    assert outcome.what == IMPORTED
    (row,) = queries.recordings(bakery.id).rows
    mine = [key for key in house.store.list("") if row.id in key]
    assert len(mine) == 5, "sound, outline, note, manifest and key, each once"
    assert not list((house.folder / "spool" / service.FOLDER).iterdir())


def test_refuses_purposes_that_the_country_forbids_or_that_come_too_late(
    house, bakery, folder, clock
) -> None:
    speech(folder / "one.wav")
    table(folder, [{"file": "one.wav", "began_at": "2026-09-01T10:15:00"}])
    (outcome,) = bring(house, bakery, folder)

    def state(purpose: str, keep_days: int) -> str:
        options = {"purpose": purpose, "keep_days": keep_days, "reason": "On paper"}
        with pytest.raises(RetentionError) as failure:
            amend(house.changes.agree, bakery.id, outcome.recording, OPERATOR, **options)
        return failure.value.error_id

    assert state("agreement", 40_000) == "retention.too_long"
    assert state("agreement", 30) == "retention.past", "counted from the call, it is over"
    assert state("marketing", 365) == "retention.purpose"
    clock.forward(days=60)
    assert state("agreement", 365) == "retention.over", "its day has come"
    for days in (-1, 0, 367):
        with pytest.raises(RecordingImportError):
            service.check_until(house.clock() + timedelta(days=days), house.clock())


def test_the_manifest_states_that_it_was_imported(house, bakery, folder, clock) -> None:
    speech(folder / "one.wav")
    table(folder, [{"file": "one.wav", "began_at": "2026-09-01T10:15:00"}])
    (outcome,) = bring(house, bakery, folder)
    before = queries.recording(bakery.id, outcome.recording)
    options = {"purpose": "agreement", "keep_days": 365, "reason": "On paper"}
    amend(house.changes.agree, bakery.id, before.id, OPERATOR, **options)
    before = queries.recording(bakery.id, outcome.recording)
    with connected():
        AmendmentTable.delete().execute()
        RecordingTable.delete().execute()
    Rebuild(house.store, house.keyring, house.root_public, house.clock, house.entropy).run()
    house.confirm_holds()
    again = queries.recording(bakery.id, outcome.recording)
    assert (again.import_sha256, again.usable, again.keep_until) == (
        before.import_sha256,
        True,
        before.keep_until,
    )
    assert recordings.imported_recording(bakery.id, before.import_sha256).id == before.id
    assert listen(house, paul(bakery), again.id)
    with connected():
        RecordingTable.update(import_sha256="ab" * 32).execute()
    with pytest.raises(Exception, match="where it comes from"):
        house.gate.grant(paul(bakery), again.id, "agreement")


def test_reports_an_unreadable_folder(house, bakery, folder) -> None:
    speech(folder / "one.wav")
    table(folder, [{"file": "one.wav", "began_at": "2026-09-01T10:15:00"}])
    owner = queries.tenant(bakery.id)
    (each,), _ = read_table(folder / "recordings.csv", folder, ZONE, house.clock())
    os.unlink(folder / "one.wav")
    until = house.clock() + timedelta(days=9)
    at_work = Importer(owner, until, house.services)
    assert at_work.bring(each).error.error_id == "import.file"
