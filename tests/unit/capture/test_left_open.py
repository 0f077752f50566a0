"""Folders that an earlier daemon left open, and that cannot be read: for now, or for ever."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import gevent
import pytest
from structlog.testing import capture_logs

from recorder.call.state import CallState
from recorder.capture import reconciliation
from recorder.capture.conferences import Conferences
from recorder.capture.reconciliation import Reconciliation
from recorder.catalogue.database import connected
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.domain.call_events import CallEvent, CallReconciled
from recorder.domain.call_plan import Script
from recorder.domain.line_policy import Language, Snapshot
from recorder.domain.markers import Marker
from recorder.errors import SwitchError
from recorder.spool import layout
from recorder.spool.layout import CallStart
from recorder.switch.standing_connection import Live, LiveChannel
from tests.house import Bakery


class Switch:
    """A switch that records the call of a folder, which has been announced to."""

    def __init__(self, audio: Path) -> None:
        self.audio, self.sent, self.asked = str(audio), [], 0
        self.away = False

    def reconcile(self) -> Live:
        self.asked += 1
        if self.away:
            raise SwitchError("switch.gone", "nobody there")
        return Live({"c": LiveChannel("c", "inbound", "ACTIVE", "accord", (self.audio,))})

    def api(self, command: object) -> str:
        return '{"rows": []}' if "show channels" in str(command) else "announced"

    def recordings_of(self, _channel: str) -> tuple[str, ...]:
        return (self.audio,)

    def send_later(self, command: object) -> None:
        self.sent.append(str(command))


def told(start: CallStart) -> Script:
    """What a call is told, by its own words."""
    assert start.announcement is not None
    return Snapshot("", {}, frozenset(), frozenset(), Path("/snapshot")).script(Language(start.announcement))


class Writer:
    def __init__(self, folder: Path) -> None:
        self.folder, self.audio = folder, folder / layout.AUDIO


class Adopted:
    """A call as the takeover sees it."""

    def __init__(self, start: CallStart, state: CallState, root: Path) -> None:
        self.start, self.state, self.channel, self.told = start, state, start.channel, []
        self.left_at = start.started_at
        self.writer = Writer(root / start.recording)
        self.log = reconciliation.log

    def feed(self, observed: CallEvent) -> None:
        self.told.append(observed)


class Site:
    """A call that goes on in a spool, and the next daemon's takeover of it."""

    def __init__(self, house: Bakery) -> None:
        self.house = house
        start = house.start(channel="c")
        self.folder = layout.open_take(house.spool, start)
        for kind in ("recording_started", "announcement_started", "announcement_finished"):
            layout.append_mark(self.folder, Marker(house.clock(), kind))
        (self.folder / layout.AUDIO).write_bytes(b"RIFF")
        house.clock.forward(seconds=30)
        self.since: datetime = house.clock()
        self.switch = Switch(self.folder / layout.AUDIO)
        self.calls: dict[str, Adopted] = {}
        rooms = Conferences(self.calls, self.switch.api, self.switch.send_later, house.clock)  # type: ignore[arg-type]
        self.takeover = Reconciliation(self.switch, house.spool, house.clock, self.adopt, told, rooms)  # type: ignore[arg-type]
        self.takeover.look()

    def adopt(self, start: CallStart, state: CallState) -> Adopted:
        return self.calls.setdefault(start.channel, Adopted(start, state, self.house.spool))

    def reconcile(self) -> None:
        self.house.clock.forward(seconds=5)
        self.takeover.reconcile(self.switch.reconcile(), self.calls, self.since)  # type: ignore[arg-type]


@pytest.fixture
def site(house: Bakery, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(reconciliation, "AGAIN", 0.02)
    return Site(house)


def until(met: Callable[[], bool]) -> None:
    with gevent.Timeout(20):
        while not met():
            gevent.sleep(0.01)


@pytest.mark.parametrize("name", [layout.CALL, layout.EVENTS])
def test_a_folder_that_cannot_be_read_just_now_is_left_with_its_recording_and_taken_over_later(
    site: Site, name: str
) -> None:
    """No file handles, a disk that fails for a moment, a permission: here, a folder in a file's place."""
    kept = (site.folder / name).read_bytes()
    (site.folder / name).unlink()
    (site.folder / name).mkdir()
    with capture_logs() as logs:
        site.reconcile()
        site.reconcile()
        gevent.sleep(0.1)
    assert [line["event"] for line in logs if "folder" in line] == ["spool.reconcile_failed"]
    assert site.switch.sent == [], "its recording goes on"
    assert site.switch.asked == 2, "the switch is not asked about what cannot be read anyway"
    assert not site.calls
    assert {path.name for path in site.folder.iterdir()} == {layout.CALL, layout.EVENTS, layout.AUDIO}
    (site.folder / name).rmdir()
    (site.folder / name).write_bytes(kept)
    site.house.clock.forward(minutes=10)
    until(lambda: bool(site.calls and site.calls["c"].told))
    (told,) = site.calls["c"].told
    assert (type(told), told.since, told.capturing) == (CallReconciled, site.since, True)
    site.reconcile()
    assert len(site.calls["c"].told) == 2, "from now on it is one like the others"


def test_a_switch_that_is_away_meanwhile_is_waited_for(site: Site) -> None:
    (site.folder / layout.CALL).rename(site.folder / "kept")
    (site.folder / layout.CALL).mkdir()
    site.reconcile()
    site.switch.away = True
    (site.folder / layout.CALL).rmdir()
    (site.folder / "kept").rename(site.folder / layout.CALL)
    until(lambda: site.switch.asked > 2)
    assert not site.calls
    site.switch.away = False
    until(lambda: bool(site.calls))


@pytest.mark.parametrize(
    ("name", "content", "whose"), [(layout.CALL, b"{", False), (layout.EVENTS, b"{\n{}\n", True)]
)
def test_what_is_broken_is_left_to_the_worker_which_lists_it(
    site: Site, name: str, content: bytes, whose: bool
) -> None:
    (site.folder / name).write_bytes(content)
    site.reconcile()
    assert ["stop" in command for command in site.switch.sent] == [True]
    assert not site.calls
    house, (folder,) = site.house, layout.finished_takes(site.house.spool)
    assert folder == site.folder
    house.work(folder)
    aside = house.spool / layout.QUARANTINE / folder.name
    assert json.loads((aside / layout.QUARANTINE_REASON).read_bytes())["reason"] == "spool.broken"
    assert (aside / layout.AUDIO).exists()
    with connected():
        row = NotRecordedTable.get()
    assert (row.id, row.reason) == (folder.name, "spool.broken")
    assert row.tenant_id == (house.tenant if whose else None)
    assert row.ended_at == house.clock()
    assert row.quarantined_until == house.clock() + timedelta(days=30)


def test_what_an_earlier_daemon_had_not_begun_to_write_goes(site: Site) -> None:
    for path in (layout.CALL, layout.EVENTS):
        (site.folder / path).unlink()
    site.reconcile()
    assert len(site.switch.sent) == 1
    assert not site.folder.exists()


def test_what_was_noted_is_not_deleted_for_want_of_its_beginning(site: Site) -> None:
    (site.folder / layout.CALL).unlink()
    site.reconcile()
    assert list(layout.finished_takes(site.house.spool)) == [site.folder]


def test_an_end_that_cannot_be_written_just_now_is_written_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.folder / layout.CALL).write_bytes(b"{")
    with monkeypatch.context() as full:
        full.setattr(layout, "close_take", _no_room)
        site.reconcile()
    assert list(layout.finished_takes(site.house.spool)) == []
    until(lambda: list(layout.finished_takes(site.house.spool)) == [site.folder])


def _no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")
