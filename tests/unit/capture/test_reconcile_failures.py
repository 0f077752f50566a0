"""Reconciling with unaddressable channels and recordings, and after failures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.capture import Daemon, DaemonSettings
from recorder.errors import SwitchError
from recorder.spool import layout
from recorder.switch.esl_events import EslEvent
from recorder.switch.outbound_socket import Arrival
from recorder.switch.standing_connection import LiveChannel, LiveState
from tests.clock import Clock
from tests.greenlets import wait_idle

ODD = "a84b4c76e66710@pc33.atlanta.com"
"""A Call-ID as in RFC 3261, which a switch can be configured to use as its channel's id."""

CHANNEL = "7d890c2c-f075-48a5-b2e1-638c52f1ecad"
LINE = "3225550101"


@pytest.fixture
def daemon(tmp_path: Path, clock: Clock) -> Daemon:
    settings = DaemonSettings(
        node="n", spool=tmp_path / "spool", snapshot=tmp_path / "snapshot", password="x" * 12
    )
    daemon = Daemon(settings, now=clock)
    assert daemon.config.claim()
    daemon.config.start()
    return daemon


class NoSocket:
    """A socket that must not be used."""

    def __getattr__(self, name: str) -> object:
        pytest.fail(f"{name} on the socket of an unaddressable call")


def arrival(channel: str) -> Arrival:
    return Arrival.of(
        {
            "Unique-ID": channel,
            "Call-Direction": "inbound",
            "Caller-Caller-ID-Number": "+32470000001",
            "variable_accord_line": LINE,
            "variable_accord_state": "waiting",
        }
    )


def hangup(channel: str, clock: Clock) -> EslEvent:
    return EslEvent(
        f"\nEvent-Name: CHANNEL_HANGUP_COMPLETE\nUnique-ID: {channel}\nAnswer-State: hangup\n"
        f"Event-Date-Timestamp: {clock().timestamp():.0f}000000\nHangup-Cause: NORMAL_CLEARING\n"
        f"variable_accord_line: {LINE}\nvariable_accord_state: unrecorded\n"
        "variable_accord_left: waiting\n\n".encode()
    )


def reasons(root: Path) -> list[str | None]:
    assert wait_idle(), "the daemon is still busy"
    return [layout.read_end(folder).reason for folder in layout.finished_takes(root)]


def arrive(daemon: Daemon) -> None:
    daemon.config._greenlet.kill()  # type: ignore[union-attr]  # it never ends
    daemon.config.decide = lambda *_: (None, None)  # type: ignore[method-assign]
    daemon.intake.arrive(arrival(ODD), NoSocket())  # type: ignore[arg-type]
    assert reasons(daemon.settings.spool) == []


def test_unaddressable_call_continues_and_is_listed(daemon: Daemon, clock: Clock) -> None:
    arrive(daemon)
    daemon.observer.handle_event(hangup(ODD, clock))
    daemon.observer.handle_event(hangup(ODD, clock))
    assert reasons(daemon.settings.spool) == ["announcement_failed"]
    assert not daemon.calls


def test_reconcile_lists_an_unaddressable_call(daemon: Daemon, clock: Clock) -> None:
    """No command can check the channel, and its hang-up may have been missed."""
    arrive(daemon)
    daemon.observer.connect(LiveState({}))
    assert reasons(daemon.settings.spool) == ["announcement_failed"]
    daemon.observer.handle_event(hangup(ODD, clock))
    assert reasons(daemon.settings.spool) == ["announcement_failed"]
    assert not daemon.calls


@pytest.mark.parametrize(("channel", "name"), [(CHANNEL, "it's mine"), (ODD, "of-ours")])
def test_unaddressable_recording_does_not_end_the_connection(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, channel: str, name: str
) -> None:
    commands: list[str] = []
    other = daemon.settings.spool / "ours" / "audio.wav"
    monkeypatch.setattr("recorder.switch.standing_connection.Node.api", lambda _self, _command: "unrecorded")
    monkeypatch.setattr(
        "recorder.switch.standing_connection.Node.send_later",
        lambda _self, command: commands.append(str(command)),
    )
    paths = (str(daemon.settings.spool / name / "audio.wav"), str(other))
    if channel == CHANNEL:
        daemon.reconciliation.reconcile(
            LiveState({channel: LiveChannel(channel, "inbound", "ACTIVE", "public", paths)}), {}, daemon.now()
        )
        assert commands == [f"api uuid_record {CHANNEL} stop '{other}'"]
    else:
        daemon.observer.handle_event(
            EslEvent(
                f"\nEvent-Name: RECORD_START\nUnique-ID: {ODD}\nEvent-Date-Timestamp: 1795576840000000\n"
                f"Record-File-Path: {other}\nRecording-Variable-accord_recording: x\n\n".encode()
            )
        )
        assert commands == []


@pytest.mark.parametrize("fails", ["reconcile", "check"])
def test_outage_lasts_until_reconciling_succeeds(
    daemon: Daemon, clock: Clock, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """A failure half-way is repeated, over the whole unwatched time."""
    since = []
    daemon.config.begin_watch()
    clock.forward(minutes=5)
    daemon.observer.disconnect("the switch closed the connection")
    loss = clock()

    def fail_at(step: str) -> Callable[..., None]:
        def run(*arguments: object) -> None:
            if step == "reconcile":
                since.append(arguments[-1])
            if step == fails and len(since) == 1:
                raise SwitchError("switch.timeout", "no answer", "try again")

        return run

    monkeypatch.setattr(daemon.reconciliation, "reconcile", fail_at("reconcile"))
    monkeypatch.setattr(daemon.intake.unhandled, "check", fail_at("check"))
    clock.forward(seconds=10)
    with pytest.raises(SwitchError):
        daemon.observer.connect(LiveState({}))
    clock.forward(seconds=10)
    daemon.observer.connect(LiveState({}))
    assert since == [loss, loss]
    assert daemon.config.unwatched_since() == clock() == loss + timedelta(seconds=20)
