"""Open folders of an earlier daemon that cannot be read, temporarily or permanently."""

from __future__ import annotations

import json
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
from recorder.domain.line_policy import Language
from recorder.domain.markers import Marker
from recorder.errors import SwitchError
from recorder.spool import layout
from recorder.spool.layout import CallStart
from recorder.spool.snapshot import Snapshot
from recorder.switch.standing_connection import LiveChannel, LiveState
from tests.house import Bakery
from tests.waiting import until


class Switch:
    """A switch that records the announced call of a folder."""

    def __init__(self, audio: Path) -> None:
        self.audio, self.commands, self.queries = str(audio), [], 0
        self.away = False

    def reconcile(self) -> LiveState:
        self.queries += 1
        if self.away:
            raise SwitchError("switch.gone", "nobody there", "try again")
        return LiveState({"c": LiveChannel("c", "inbound", "ACTIVE", "accord", (self.audio,))})

    def api(self, command: object) -> str:
        return '{"rows": []}' if "show channels" in str(command) else "announced"

    def recordings_of(self, _channel: str) -> tuple[str, ...]:
        return (self.audio,)

    def send_later(self, command: object) -> None:
        self.commands.append(str(command))


def script_of(start: CallStart) -> Script:
    """Return the sounds of a call."""
    assert start.announcement is not None
    return Snapshot("", {}, frozenset(), frozenset(), Path("/snapshot")).script(Language(start.announcement))


class FakeWriter:
    def __init__(self, folder: Path) -> None:
        self.folder, self.audio = folder, folder / layout.AUDIO


class AdoptedCall:
    """A call as reconciling sees it."""

    def __init__(self, start: CallStart, state: CallState, root: Path) -> None:
        self.start, self.state, self.channel, self.events = start, state, start.channel, []
        self.left_at = start.started_at
        self.writer = FakeWriter(root / start.recording)
        self.log = reconciliation.log

    def feed(self, event: CallEvent) -> None:
        self.events.append(event)


class Takeover:
    """A call that continues, and the next daemon's takeover of its folder."""

    def __init__(self, house: Bakery) -> None:
        self.house = house
        start = house.start(channel="c")
        self.folder = layout.open_take(house.spool, start)
        for kind in ("recording_started", "announcement_started", "announcement_finished"):
            layout.append_marker(self.folder, Marker(house.clock(), kind))
        (self.folder / layout.AUDIO).write_bytes(b"RIFF")
        house.clock.forward(seconds=30)
        self.since: datetime = house.clock()
        self.switch = Switch(self.folder / layout.AUDIO)
        self.calls: dict[str, AdoptedCall] = {}
        conferences = Conferences(self.calls, self.switch.api, self.switch.send_later, house.clock)  # type: ignore[arg-type]
        self.reconciliation = Reconciliation(
            self.switch, house.spool, house.clock, self.adopt, script_of, conferences
        )  # type: ignore[arg-type]
        self.reconciliation.list_open_folders()

    def adopt(self, start: CallStart, state: CallState) -> AdoptedCall:
        return self.calls.setdefault(start.channel, AdoptedCall(start, state, self.house.spool))

    def reconcile(self) -> None:
        self.house.clock.forward(seconds=5)
        self.reconciliation.reconcile(self.switch.reconcile(), self.calls, self.since)  # type: ignore[arg-type]


@pytest.fixture
def site(house: Bakery, monkeypatch: pytest.MonkeyPatch) -> Takeover:
    monkeypatch.setattr(reconciliation, "RETRY_INTERVAL", 0.02)
    return Takeover(house)


@pytest.mark.parametrize("name", [layout.CALL, layout.EVENTS])
def test_unreadable_folder_is_taken_over_later(site: Takeover, name: str) -> None:
    """As without file handles, on a failing disk or without permission: here a folder replaces a file."""
    content = (site.folder / name).read_bytes()
    (site.folder / name).unlink()
    (site.folder / name).mkdir()
    with capture_logs() as logs:
        site.reconcile()
        site.reconcile()
        gevent.sleep(0.1)
    assert [line["event"] for line in logs if "folder" in line] == ["spool.reconcile_failed"]
    assert site.switch.commands == [], "its recording continues"
    assert site.switch.queries == 2, "the switch is not asked about an unreadable folder"
    assert not site.calls
    assert {path.name for path in site.folder.iterdir()} == {layout.CALL, layout.EVENTS, layout.AUDIO}
    (site.folder / name).rmdir()
    (site.folder / name).write_bytes(content)
    site.house.clock.forward(minutes=10)
    until("its events are written", lambda: site.calls and site.calls["c"].events, 20)
    (event,) = site.calls["c"].events
    assert (type(event), event.since, event.capturing) == (CallReconciled, site.since, True)
    site.reconcile()
    assert len(site.calls["c"].events) == 2, "from now on it is reconciled like the others"


def test_waits_for_an_unreachable_switch(site: Takeover) -> None:
    (site.folder / layout.CALL).rename(site.folder / "kept")
    (site.folder / layout.CALL).mkdir()
    site.reconcile()
    site.switch.away = True
    (site.folder / layout.CALL).rmdir()
    (site.folder / "kept").rename(site.folder / layout.CALL)
    until("it is tried again", lambda: site.switch.queries > 2, 20)
    assert not site.calls
    site.switch.away = False
    until("the call is taken over", lambda: site.calls, 20)


@pytest.mark.parametrize(
    ("name", "content", "whose"), [(layout.CALL, b"{", False), (layout.EVENTS, b"{\n{}\n", True)]
)
def test_broken_folder_is_left_to_the_worker(site: Takeover, name: str, content: bytes, whose: bool) -> None:
    (site.folder / name).write_bytes(content)
    site.reconcile()
    assert ["stop" in command for command in site.switch.commands] == [True]
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


def test_removes_an_empty_folder(site: Takeover) -> None:
    for path in (layout.CALL, layout.EVENTS):
        (site.folder / path).unlink()
    site.reconcile()
    assert len(site.switch.commands) == 1
    assert not site.folder.exists()


def test_keeps_a_folder_with_marks_but_no_call_file(site: Takeover) -> None:
    (site.folder / layout.CALL).unlink()
    site.reconcile()
    assert list(layout.finished_takes(site.house.spool)) == [site.folder]


def test_retries_writing_an_end(site: Takeover, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.folder / layout.CALL).write_bytes(b"{")
    with monkeypatch.context() as full:
        full.setattr(layout, "close_take", _no_room)
        site.reconcile()
    assert list(layout.finished_takes(site.house.spool)) == []
    until("the take is finished", lambda: list(layout.finished_takes(site.house.spool)) == [site.folder], 20)


def _no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")
