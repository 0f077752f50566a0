"""What is ordered of the switch when a colleague asks whether a recording may be kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gevent
import pytest

from recorder.call import arriving
from recorder.call.state import KeepScript, Note, Plan, Script, Speech, State
from recorder.daemon.calls import Call
from recorder.daemon.writer import Writer
from recorder.switch.commands import Command
from recorder.switch.observed import COLLEAGUE, Observed, What
from recorder.take.spool import CallStart, Party

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
SOUND = Speech("/snapshot/prompts/said.wav", timedelta(seconds=3))
KEEP = KeepScript(SOUND, SOUND, SOUND, SOUND, SOUND)


def told(keep: KeepScript) -> State:
    """A call that was announced, and is recorded."""
    notes = [Note("recording_started", AT), Note("announcement_finished", AT)]
    return arriving.resume(Plan("notice", (Script(SOUND, keep=keep),)), notes, AT)


@pytest.mark.parametrize("colleague", ["b", "a84b4c@pc33.atlanta.com"])
@pytest.mark.parametrize("keep", [KEEP, replace(KEEP, question=None)])
def test_a_colleague_whose_leg_is_put_into_no_command_can_ask_all_the_same(
    tmp_path: Path, keep: KeepScript, colleague: str
) -> None:
    sent: list[Command] = []
    start = CallStart(
        "01a2101e-5dde-7d17-8d61-e2a8e19669f1", "t", "l", "100", "inbound", "n", "a", Party("withheld", ""),
        AT, ("opus",), None,
    )  # fmt: skip
    writer = Writer(tmp_path, start.recording, lambda error: None)
    call = Call(
        start, told(keep), writer, now=lambda: AT, to_call=list, to_switch=sent.append, ask=str,
        ended=lambda call: None,
    )  # fmt: skip
    writer.open(start)
    call.feed(Observed(What.CODE, AT, code="keep", leg=COLLEAGUE, other=colleague))
    assert call.state.deadline is not None, "nothing would end the question"
    assert not any("@" in str(command) for command in sent)
    played = [command for command in sent if "uuid_broadcast" in str(command)]
    assert len(played) == (1 if keep.question or colleague == "b" else 0)
    call.feed(Observed(What.GONE, AT, ending=True))
    assert gevent.wait(timeout=20), "a timer of the call outlives it"
