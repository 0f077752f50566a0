from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import recorder
from recorder import metrics
from recorder.catalogue import queries
from recorder.config import NodeSettings, Settings, WorkerSettings
from recorder.errors import ConfigError
from recorder.features.fleet.service import node_reports
from recorder.lifecycle import expiry
from recorder.pipeline import encoders, stages
from recorder.pipeline.poison_takes import CRASH_LIMIT
from recorder.processes.spool_holders import DAEMON, last_watched
from recorder.processes.worker_loop import Worker
from recorder.seal.signing import key_id
from recorder.services import Services
from recorder.spool import layout
from recorder.store.contract import Unreachable
from recorder.verification_calls.caller import VerificationCaller
from recorder.verification_calls.register import OPENINGS
from tests.expected_errors import expect_error
from tests.waiting import until

DEADLINE = 60.0


class SwitchableStore:
    """A store that can become unavailable and available again, or leave requests unanswered for a while."""

    def __init__(self, store) -> None:
        self.store = store
        self.away = False
        self.query_count = 0
        self.pause_count = 0
        self._answers = threading.Event()
        self._answers.set()

    def hold(self) -> None:
        self._answers.clear()

    def release(self) -> None:
        self._answers.set()

    def __getattr__(self, name: str):
        operation = getattr(self.store, name)

        def call_method(*arguments):
            self.query_count += 1
            if not self._answers.is_set():
                self.pause_count += 1
                self._answers.wait(DEADLINE)
            if self.away:
                raise Unreachable("store.unreachable", "nobody there", "try again")
            return operation(*arguments)

        return call_method


SQLITE = pytest.mark.parametrize("catalogue_kind", ["sqlite"])
"""Only encoders are tested, so the database does not matter."""


@pytest.fixture
def store(house) -> SwitchableStore:
    return SwitchableStore(house.services.store)


@pytest.fixture
def start(house, store) -> Iterator[Callable[..., Worker]]:
    """Starts workers in threads, with ``changes`` to their fields, and ends them."""
    workers: list[tuple[Worker, threading.Thread]] = []

    def begin(**changes) -> Worker:
        names = {each.name for each in fields(Services)}
        own_services = {name: changes.pop(name) for name in names & changes.keys()}
        settings = Settings(
            node=NodeSettings(never_record=("112",)), worker=WorkerSettings(processes=1, nice=1)
        )
        worker = Worker(
            replace(house.services, **({"store": store} | own_services)), settings, drain=5, **changes
        )
        thread = threading.Thread(target=worker.run, daemon=True)
        workers.append((worker, thread))
        thread.start()
        return worker

    yield begin
    for worker, _ in workers:
        worker.stop()
    for _, thread in workers:
        thread.join(DEADLINE)
        assert not thread.is_alive()


def rows(house) -> int:
    return len(queries.recordings(house.tenant).rows)


def test_stores_takes_and_lists_unrecorded_calls(house, start) -> None:
    for _ in range(3):
        house.take()
        house.clock.forward(seconds=1)
    house.unrecorded()
    start()
    until("all of it", lambda: rows(house) == 3 and len(queries.not_recorded(house.tenant).rows) == 1)
    until("an empty spool", lambda: not list(layout.finished_takes(house.spool)))


def test_heartbeat_continues_while_the_store_hangs(house, start, store) -> None:
    folder = house.take()
    beats: list[None] = []
    store.hold()
    start(beat=lambda: beats.append(None))
    until("a step that waits for the store", lambda: store.pause_count > 0)
    beat_count = len(beats)
    until("heartbeats meanwhile", lambda: len(beats) >= beat_count + 3)
    assert stages.next_stage(folder) is not None
    store.release()
    until("the recording", lambda: rows(house) == 1)


@pytest.mark.long
def test_finds_a_later_take(house, start) -> None:
    start()
    until("a snapshot", lambda: (house.folder / "snapshot" / "snapshot.json").exists())
    house.take()
    until("the recording", lambda: rows(house) == 1)


def test_logs_unhandled_errors_of_duties(house, start) -> None:
    house.work(house.take())
    house.clock.forward(days=31)

    class BrokenStore:
        def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
            raise RuntimeError("nobody foresaw this")

    with capture_logs() as logs:
        start(store=BrokenStore())
        until("a word about it", lambda: any(line["event"] == "recording.erasure_failed" for line in logs))
    (failure_line,) = [line for line in logs if line["event"] == "recording.erasure_failed"]
    assert str(failure_line["exc_info"]) == "nobody foresaw this"


@pytest.mark.long
def test_delayed_take_does_not_delay_others(house, start) -> None:
    delayed_take = house.take(tenant="01930000-0000-7000-8000-0000000000ff")
    house.clock.forward(seconds=1)
    house.take()
    start()
    until("the other recording", lambda: rows(house) == 1)
    assert stages.next_stage(delayed_take) == "seal"


def test_unavailable_store_loses_nothing(house, start, store) -> None:
    store.away = True
    folders = [house.take(), house.take()]
    house.unrecorded()
    start()
    until("both as far as they get", lambda: all(stages.next_stage(folder) == "store" for folder in folders))
    until("what needs no store goes on", lambda: len(queries.not_recorded(house.tenant).rows) == 1)
    late = house.take()
    until("a later one", lambda: stages.next_stage(late) == "store")
    assert rows(house) == 0
    requests_before = store.query_count
    time.sleep(1.5)
    assert store.query_count - requests_before <= 8, "retries are paced"
    store.away = False
    until("all recordings, once it is back", lambda: rows(house) == 3)


def test_snapshot_follows_the_catalogue(house, start) -> None:
    from recorder.spool.snapshot import read_snapshot

    start()
    folder = house.folder / "snapshot"
    until("a snapshot", lambda: (folder / "snapshot.json").exists())
    assert read_snapshot(folder).never_record == {"112"}
    house.add_line(house.tenant, "+3225550177", house.announcement.id)
    until("the new line", lambda: read_snapshot(folder).line("3225550177") is not None)


def test_repairs_a_damaged_prompt_or_snapshot(house, start, monkeypatch) -> None:
    from recorder.spool.snapshot import read_snapshot

    monkeypatch.setattr("recorder.features.tenants.duty.SNAPSHOT_WHOLE", 0.1)
    monkeypatch.setattr("recorder.processes.worker_loop.TICK", 0.1)
    start()
    folder = house.folder / "snapshot"
    until("a snapshot", lambda: (folder / "snapshot.json").exists())
    prompt = read_snapshot(folder).prompt(house.announcement.sha256)
    right = prompt.read_bytes()
    prompt.write_bytes(right[:-1])
    until("the sound", lambda: prompt.read_bytes() == right)
    prompt.unlink()
    until("the sound again", prompt.exists)
    (folder / "snapshot.json").write_bytes(b"{")
    until("the snapshot", lambda: (folder / "snapshot.json").read_bytes() != b"{")
    assert not read_snapshot(folder).damaged


def test_deletes_expired_recordings(house, start) -> None:
    folder = house.take()
    house.work(folder)
    house.clock.forward(days=31)
    start()
    until("the tombstone", lambda: rows(house) == 0)
    assert queries.recording(house.tenant, folder.name).erased_at is not None


@pytest.fixture
def deadly(monkeypatch) -> Callable[..., list[str]]:
    """Crash the encoder process for some takes, and retry them at once. Returns the names of the crashed
    takes."""

    def make(*of: Path) -> list[str]:
        names, deaths, limit = {folder.name for folder in of}, [], encoders._limit

        def too_short(folder: Path) -> float:
            if folder.name not in names:
                return limit(folder)
            deaths.append(folder.name)
            return 0.0

        monkeypatch.setattr(encoders, "_limit", too_short)
        monkeypatch.setattr("recorder.pipeline.backoff.BACK_OFF", (0.01,))
        return deaths

    return make


def aside(house) -> list[str]:
    quarantine = house.spool / layout.QUARANTINE
    return sorted(each.name for each in quarantine.iterdir()) if quarantine.is_dir() else []


@pytest.mark.long
@SQLITE
def test_quarantines_a_poison_take_without_a_date(house, start, deadly, monkeypatch) -> None:
    monkeypatch.setattr("recorder.pipeline.poison_takes.CRASH_INTERVAL", 0.0)
    bad = house.take()
    deadly(bad)
    start()
    for stored in range(1, CRASH_LIMIT):
        house.clock.forward(seconds=1)
        house.take()
        until("another one", lambda stored=stored: rows(house) == stored)
    until("quarantine", lambda: aside(house) == [bad.name])
    (row,) = queries.not_recorded(house.tenant).rows
    assert (row.reason, row.quarantined_until) == ("take.encoder_died", None)
    assert (
        json.loads((house.spool / layout.QUARANTINE / bad.name / layout.QUARANTINE_REASON).read_bytes())[
            "until"
        ]
        is None
    )
    assert expiry.empty_quarantine(house.services, house.clock() + timedelta(days=9999)) == 0


@pytest.mark.long
@SQLITE
def test_quarantines_nothing_if_every_encoder_crashes(house, start, deadly) -> None:
    """No other take is encoded meanwhile, so nothing shows the cause."""
    deaths = deadly(*(house.take() for _ in range(3)))
    start()
    until("deaths", lambda: len(deaths) >= 4 * CRASH_LIMIT)
    assert aside(house) == []
    assert queries.not_recorded(house.tenant).rows == ()


@pytest.mark.long
@SQLITE
def test_quarantines_nothing_if_no_encoder_starts(house, start, monkeypatch, tmp_path) -> None:
    """A half-upgraded environment or a missing library: every take waits."""
    monkeypatch.setattr("recorder.pipeline.backoff.AWAY_BACK_OFF", (0.01,))
    folders = [house.take() for _ in range(3)]
    broken_path = tmp_path / "broken"
    broken_path.mkdir()
    (broken_path / "av.py").write_text(
        "raise ImportError('libavcodec.so.61: cannot open shared object file')"
    )
    source = str(Path(recorder.__file__).parents[1])
    failed = metrics.STAGE_FAILURES.labels("encode", "encoder")._value.get
    before, deaths = failed(), metrics.ENCODER_DEATHS._value.get()
    with capture_logs() as logs:
        monkeypatch.setenv("PYTHONPATH", f"{broken_path}:{source}")
        start()
        until("starts", lambda: failed() - before > 3 * CRASH_LIMIT)
        monkeypatch.setenv("PYTHONPATH", source)
        until("all, once it runs", lambda: rows(house) == len(folders))
    assert aside(house) == []
    assert metrics.ENCODER_DEATHS._value.get() == deaths
    lines = [line for line in logs if line["event"] == "take.delayed"]
    assert {line["error_id"] for line in lines} == {"encoder.not_started"}
    assert "Restart the worker" in lines[0]["error"]


@pytest.mark.long
@SQLITE
def test_restored_take_becomes_a_recording(house, start, deadly, monkeypatch) -> None:
    monkeypatch.setattr("recorder.pipeline.poison_takes.CRASH_INTERVAL_ALONE", 0.0)
    bad = house.take()
    deadly(bad)
    start()
    until("quarantine, where it is alone", lambda: aside(house) == [bad.name])
    monkeypatch.undo()
    assert layout.restore_take(house.spool, bad.name) == bad
    until("the recording", lambda: rows(house) == 1)
    assert aside(house) == []
    assert queries.not_recorded(house.tenant).rows == ()


def test_refuses_a_second_worker(house, start) -> None:
    first = start()
    until("the first", lambda: (house.folder / "snapshot" / "snapshot.json").exists())
    second = Worker(first.services, first.settings)
    with expect_error(ConfigError, "worker.already_running"):
        second.run()


def test_finishes_interrupted_removals(house, start) -> None:
    removed = house.spool / ".gone-01930000-0000-7000-8000-000000000001"
    removed.mkdir()
    (removed / "audio.wav").write_bytes(b"x")
    start()
    until("its end", lambda: not removed.exists())


def test_reports_its_node_and_when_the_daemon_watched_the_switch(house, start) -> None:
    watched_at = house.clock() - timedelta(minutes=1)
    (house.spool / DAEMON).touch()
    os.utime(house.spool / DAEMON, (watched_at.timestamp(), watched_at.timestamp()))
    layout.open_take(house.spool, house.start())
    start(store=house.services.store, caller=VerificationCaller("node1", house.spool, uses=OPENINGS))
    until("the report", node_reports)
    (report,) = node_reports()
    assert (report.node, report.watched_at, report.reported_at) == ("node1", watched_at, house.clock())
    assert (report.live, report.backlog, report.quarantine) == (1, 0, 0)
    assert 0 < report.disk_free <= report.disk_size
    assert (report.root, report.keks) == (key_id(house.services.root), (house.keyring.current,))
    assert report.calls == tuple(OPENINGS), "it answers nobody who calls a room"
    assert last_watched(house.spool / "nowhere") is None


def test_closes_old_listens(house, start) -> None:
    from recorder.playback import grants
    from recorder.playback.interface import Actor
    from recorder.processes.gate import PanelGate

    folder = house.take()
    house.work(folder)
    means = house.services
    person = house.user(house.tenant, "a")
    gate = PanelGate(means.store, means.keyring, means.root, now=house.clock)
    who = Actor(person.id, house.tenant, "customer", "fr")
    grant = gate.grant(who, folder.name, "agreement")
    list(gate.open(who, grant.id, "audio.opus", "p").read(0, 100))
    house.clock.at += timedelta(minutes=20)
    assert grants.stale_listens(house.clock())
    start()
    until("closed", lambda: not grants.stale_listens(house.clock()))
