"""The keep question in many simultaneous calls on a real switch, with keys sent as RTP events."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from recorder.spool import layout
from tests.freeswitch.lines import set_every_line
from tests.freeswitch.switches import RATE, CallUnderTest, Rig, level, read_wav, until

CALLS = 50


def markers(call: CallUnderTest, kind: str) -> int:
    return call.markers_now().count(kind)


def internal_leg_of(rig: Rig, call: CallUnderTest) -> str:
    """Return the called phone's leg of a call. The switch's list of channels lags behind its events."""

    def listed() -> list[str]:
        rows = rig.phones.channels()
        return [
            row["uuid"] for row in rows if row["direction"] == "inbound" and row["cid_num"] == call.caller
        ]

    until(f"{call.caller}'s colleague is listed", listed, 10)
    return listed()[0]


def test_fifty_simultaneous_keep_questions(daemon: Rig) -> None:
    set_every_line(daemon, "keep")
    calls = [daemon.call() for _ in range(CALLS)]
    for call in calls:
        until(f"{call.caller} speaks", lambda call=call: markers(call, "bridged"), 60)
    colleagues = [internal_leg_of(daemon, call) for call in calls]
    for leg in colleagues:
        daemon.phones.esl.api(f"uuid_send_dtmf {leg} *5")
    time.sleep(5)
    for call, leg in zip(calls, colleagues, strict=True):
        if not markers(call, "keep_question_asked"):  # a busy machine loses keys, and people press again
            daemon.phones.esl.api(f"uuid_send_dtmf {leg} *5")
    for call in calls:
        until(f"{call.caller} heard the question", lambda call=call: markers(call, "keep_question_heard"), 30)
    # Half of them say yes; of these, every other one aloud, and then they are heard to.
    for number, call in enumerate(calls):
        if number % 4 == 3:
            call.speak()
    time.sleep(2.5)
    for number, (call, leg) in enumerate(zip(calls, colleagues, strict=True)):
        key = "1" if number % 2 else "2"
        if number % 4 < 2:
            call.key(key)
        else:
            daemon.phones.esl.api(f"uuid_send_dtmf {leg} {key}")
    for call in calls:
        until(
            f"{call.caller} heard what came of it",
            lambda call=call: markers(call, "keep_answer_confirmed"),
            30,
        )
    time.sleep(1)
    for call in calls:
        assert call.alive(), "a call ended"
        call.hang_up()
    for number, call in enumerate(calls):
        take = call.wait_take()
        assert (take.end.outcome, take.end.reason) == ("recorded", None)
        answers = [dict(marker.data) for marker in take.markers if marker.kind == "keep_question_answered"]
        places = [int(answers[0].pop(name, 0)) for name in ("voice_from_ms", "voice_to_ms")]
        assert (0 < places[0] < places[1]) == (number % 4 == 3), "heard, or not heard"
        by, how = ("external", "key") if number % 4 < 2 else ("internal", "aloud")
        assert answers == [{"answer": "yes" if number % 2 else "no", "by": by, "how": how}]
        assert not {"keep_question_interrupted", "keep_answer_unconfirmed"} & {
            marker.kind for marker in take.markers
        }
        assert_separated_during_the_question(take)


def assert_separated_during_the_question(take: layout.Take) -> None:
    """While the question plays, the take has the external party and the question, without the internal party;
    before and after it has both."""
    sound = read_wav(Path(take.audio))
    moment, end = take.first("keep_question_asked"), take.first("keep_question_heard")
    start = take.first("recording_started")
    assert moment is not None
    assert end is not None
    assert start is not None
    middle = int(((end - start).total_seconds() - 0.6) * RATE)
    question = sound[middle - RATE // 4 : middle + RATE // 4]
    assert np.median(level(question[:, 0], 440)) > 0.2, "the external party is not recorded"
    assert np.median(level(question[:, 1], 1000)) < 0.1, "the colleague is heard over the question"
    at = take.first("keep_answer_confirmed")
    assert at is not None
    after = sound[int(((at - start).total_seconds() + 0.2) * RATE) :]
    assert np.max(level(after[:, 1], 1000)) > 0.2, "they do not hear each other after it"
