"""Which recordings on the switch are Accord's own, by the paths that the switch names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from recorder.switch.commands import SwitchCommand
from recorder.switch.standing_connection import LiveChannel, LiveState
from tests.clock import Clock
from tests.unit.capture.test_reconcile import (
    ANNOUNCED,
    CHANNEL,
    ID,
    AnsweringSwitch,
    leave_open,
    markers,
    start_daemon,
    wait_for_writes,
)

__all__ = ["wait_for_writes"]

OWN = ("{spool}/{id}/audio.wav", "/{spool}/{id}/audio.wav", "{spool}/x/../{id}/audio.wav",
       "{real}/{id}/audio.wav", "{real}/../real/{id}/audio.wav")  # fmt: skip
OTHERS = ("{spool}/../pbx.wav", "{real}/../pbx.wav", "{spool}/{id}/../../../pbx.wav", "{spool}-pbx/audio.wav",
          "spool/audio.wav", "..", "")  # fmt: skip
"""Paths of a spool that is a symlink, as a switch may name them."""


class StoppingSwitch(AnsweringSwitch):
    """``stopped``: the commands that it was sent to stop a recording."""

    def __init__(self, **variables: str) -> None:
        super().__init__(**variables)
        self.stopped: list[str] = []

    def send_later(self, command: SwitchCommand) -> None:
        self.stopped.append(str(command))


def reconcile(root: Path, clock: Clock, paths: Iterable[str], state: str) -> StoppingSwitch:
    """Let a daemon find recordings to these paths on its call."""
    (root / "real").mkdir()
    (root / "spool").symlink_to(root / "real")
    leave_open(root, *ANNOUNCED)
    switch = StoppingSwitch(accord_state=state, bridged="yes")
    daemon = start_daemon(root, switch, clock)
    recordings = tuple(path.format(spool=root / "spool", real=root / "real", id=ID) for path in paths)
    channel = LiveChannel(CHANNEL, "inbound", "ACTIVE", "public", recordings)
    daemon.observer.connect(LiveState({CHANNEL: channel}))
    return switch


def test_only_recordings_elsewhere_are_marked(tmp_path: Path, clock: Clock) -> None:
    reconcile(tmp_path, clock, [*OWN, *OTHERS], "announced")
    assert [marker.kind for marker in markers(tmp_path)].count("other_recording_started") == len(OTHERS)


def test_only_recordings_of_our_own_are_stopped(tmp_path: Path, clock: Clock) -> None:
    """On a call that must not be recorded: the telephone system's own are its operator's. No command contains
    a path with ``..``."""
    switch = reconcile(tmp_path, clock, [*OWN, *OTHERS], "late")
    assert len(switch.stopped) == sum(".." not in path for path in OWN)
