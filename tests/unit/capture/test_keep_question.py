"""The commands for the keep question and the marker tone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.call import initial
from recorder.call.state import CallState
from recorder.capture.spool_writer import SpoolWriter
from recorder.domain.call_events import ChannelGone, CodeDialled, CommandGiven
from recorder.domain.call_plan import CallPlan, KeepScript, Script, Speech
from recorder.domain.markers import Marker
from recorder.spool import layout
from recorder.switch.commands import SwitchCommand
from tests.greenlets import wait_idle
from tests.unit.capture.controllers import control

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
SOUND = Speech("/snapshot/prompts/said.wav", timedelta(seconds=3))
KEEP = KeepScript(SOUND, SOUND, SOUND, SOUND, SOUND)


def announced(keep: KeepScript) -> CallState:
    """The state of a call that was announced and is recorded."""
    notes = [Marker(AT, "recording_started"), Marker(AT, "announcement_finished")]
    return initial.resume(CallPlan("notice", (Script(SOUND, keep=keep),)), notes, AT)


@pytest.mark.parametrize("colleague", ["b", "a84b4c@pc33.atlanta.com"])
@pytest.mark.parametrize("keep", [KEEP, replace(KEEP, question=None)])
def test_keep_question_with_an_unaddressable_internal_leg(
    tmp_path: Path, keep: KeepScript, colleague: str
) -> None:
    commands: list[SwitchCommand] = []
    call = control(tmp_path, announced(keep), AT, to_switch=commands.append)
    call.feed(CodeDialled(AT, code="keep", other=colleague))
    assert call.state.timer.deadline is not None, "the question has no time limit"
    assert not any("@" in str(command) for command in commands)
    played = [command for command in commands if "uuid_broadcast" in str(command)]
    assert len(played) == (1 if keep.question or colleague == "b" else 0)
    call.feed(ChannelGone(AT, hangup=True))
    assert wait_idle(), "a timer survives the call"


@pytest.mark.parametrize("folder", ["writable", "unwritable for a while"])
def test_plays_the_marker_tone_once_the_marker_is_written(tmp_path: Path, folder: str) -> None:
    """The tone confirms that the marker is on disk."""
    orders: list[str] = []
    call = control(
        tmp_path, announced(KEEP), AT, to_switch=lambda command: orders.append(f"{kinds(writer)} {command}")
    )
    writer = call.writer
    assert writer.flush(5)
    markers = writer.folder / layout.EVENTS
    if folder != "writable":
        markers.mkdir()
    call.feed(CodeDialled(AT, code="mark", other="b"))
    assert orders == []
    if folder != "writable":
        assert not writer.flush(0.5)
        assert orders == []
        markers.rmdir()
    assert writer.flush(10)
    (tone,) = orders
    assert tone.startswith("['moment_marked'] api expand uuid_displace")
    call.feed(CommandGiven(AT, code="mark", by="panel"))
    assert writer.flush(5)
    assert len(orders) == 1, "the panel confirms its own command"


def kinds(writer: SpoolWriter) -> list[str]:
    return [marker.kind for marker in layout.read_markers(writer.folder)]
