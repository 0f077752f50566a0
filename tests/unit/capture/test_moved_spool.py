"""A dead node's spool is moved here while the daemon runs: its unfinished calls are ended."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from recorder.capture import Daemon, DaemonSettings
from recorder.capture import moved_spool as module
from recorder.errors import SwitchError
from recorder.spool import layout
from recorder.switch.standing_connection import LiveState
from tests.house import Bakery
from tests.unit.capture.test_reconcile_failures import arrival, reasons

CHANNEL = "7d890c2c-f075-48a5-b2e1-638c52f1ecad"


class MovedCall:
    """A running daemon, and an announced and answered call of another node."""

    def __init__(self, house: Bakery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.house, self.seconds, self.channels, self.away, self.messages = house, 0.0, set(), False, []
        settings = DaemonSettings(
            node="here", spool=house.spool, snapshot=tmp_path / "snapshot", password="x" * 12
        )
        self.daemon = Daemon(settings, now=house.clock)
        self.daemon.config.start()
        self.daemon.config._greenlet.kill()  # type: ignore[union-attr]  # it never ends
        self.daemon.moved_spool.monotonic = lambda: self.seconds
        monkeypatch.setattr("recorder.capture.daemon.variable_of", self._variable)
        monkeypatch.setattr(
            "recorder.switch.standing_connection.Node.api", lambda *_: self.messages.append("api")
        )
        monkeypatch.setattr(
            "recorder.switch.standing_connection.Node.send_later", lambda *_: self.messages.append("later")
        )

    def _variable(self, _node: object, channel: str, _name: str) -> str | None:
        if self.away:
            raise SwitchError("switch.gone", "not connected", "try again")
        return "" if channel in self.channels else None

    def move(self, **changes: object) -> Path:
        """Return the folder of a call that was live when its node died."""
        folder = self.house.take(talk_ms=4000, node="east", **{"channel": CHANNEL, **changes})
        (folder / layout.END).unlink()
        markers = [
            marker
            for marker in layout.read_markers(folder)
            if marker.kind not in ("hangup", "recording_stopped")
        ]
        (folder / layout.EVENTS).unlink()
        for marker in markers:
            layout.append_marker(folder, marker)
        self.house.clock.forward(days=1)
        return folder

    def check(self, after: float = 11.0) -> None:
        self.seconds += after
        self.daemon.moved_spool.check()

    def wait_quietly(self) -> None:
        for _ in range(5):
            self.check()


@pytest.fixture
def site(house: Bakery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MovedCall:
    return MovedCall(house, tmp_path, monkeypatch)


def test_ends_a_moved_call_without_a_restart(site: MovedCall) -> None:
    folder = site.move()
    site.check()
    site.check()
    assert not (folder / layout.END).exists(), "it may still be copied"
    site.wait_quietly()
    assert reasons(site.house.spool) == [None], "recorded"
    assert site.messages == [], "no command is sent to the switch"
    assert not site.daemon.calls
    take = layout.read_take(folder)
    last = max(marker.at for marker in take.markers if marker.kind == "bridged")
    assert take.first("unobserved_from") == last, "not since this node's daemon last watched"
    site.house.work(folder)
    assert not folder.exists()
    assert any(folder.name in key for key in site.house.objects())


def test_waits_while_a_folder_is_copied_or_written(site: MovedCall) -> None:
    folder = site.move()
    for _ in range(10):
        with open(folder / layout.AUDIO, "ab") as sound:
            sound.write(bytes(320))
        site.check()
    assert not (folder / layout.END).exists()
    (folder / layout.CALL).rename(folder / "not yet")
    site.wait_quietly()
    assert not (folder / layout.END).exists(), "call.json is still missing"
    (folder / "not yet").rename(folder / layout.CALL)
    site.wait_quietly()
    assert reasons(site.house.spool) == [None]


def test_ignores_own_and_live_calls(site: MovedCall) -> None:
    """Own calls are recognised by their folders, live calls by their channels."""
    daemon = site.daemon
    daemon.config.decide = lambda *_: (None, None)  # type: ignore[method-assign]
    daemon.intake.arrive(arrival("an odd id"), _NoSocket())  # type: ignore[arg-type]
    assert reasons(site.house.spool) == []
    (mine,) = layout.open_takes(site.house.spool)
    site.channels.add(CHANNEL)
    theirs = site.move()
    with capture_logs() as logs:
        for _ in range(20):
            site.wait_quietly()
    assert {folder.name for folder in layout.open_takes(site.house.spool)} == {mine.name, theirs.name}
    (warning,) = [line for line in logs if line["event"] == "spool.reconcile_failed"]
    assert warning["folder"] == theirs.name
    site.channels.clear()
    site.away = True
    with pytest.raises(SwitchError):
        site.check()
    assert not (theirs / layout.END).exists(), "the switch must confirm that the channel is gone"
    site.away = False
    site.check()
    assert reasons(site.house.spool) == [None]
    assert [folder.name for folder in layout.open_takes(site.house.spool)] == [mine.name]


def test_folder_with_the_channel_of_a_current_call_is_ignored(site: MovedCall) -> None:
    daemon = site.daemon
    daemon.config.decide = lambda *_: (None, None)  # type: ignore[method-assign]
    daemon.intake.arrive(arrival("an odd id"), _NoSocket())  # type: ignore[arg-type]
    (call,) = daemon.calls.values()
    site.move(channel="an odd id")
    site.wait_quietly()
    assert list(daemon.calls.values()) == [call]


def test_renamed_or_broken_folder_is_left_to_the_worker(site: MovedCall) -> None:
    renamed, damaged = site.move(), site.move()
    renamed.rename(renamed.with_name("another"))
    (damaged / layout.CALL).write_bytes(b"{")
    site.wait_quietly()
    assert {folder.name for folder in layout.finished_takes(site.house.spool)} == {"another", damaged.name}
    for folder in list(layout.finished_takes(site.house.spool)):
        site.house.work(folder)
    assert {path.name for path in (site.house.spool / layout.QUARANTINE).iterdir()} == {
        "another",
        damaged.name,
    }


def test_moved_call_is_unobserved_from_its_last_marker(site: MovedCall) -> None:
    folder = site.move()
    site.daemon.reconciliation.list_open_folders()
    site.daemon.reconciliation._feed = lambda call, since: site.messages.append(since)  # type: ignore[method-assign]
    site.daemon.reconciliation.reconcile(LiveState({}), {}, site.house.clock())
    (since,) = site.messages
    assert since == max(marker.at for marker in layout.read_markers(folder))
    assert module.QUIET > module.CHECK_INTERVAL


class _NoSocket:
    """A socket that must not be used."""

    def __getattr__(self, name: str) -> object:
        pytest.fail(f"{name} on the socket of an unaddressable call")
